import { brokerCampaignTest } from "./broker-campaign-test.ts";

brokerCampaignTest(1);
