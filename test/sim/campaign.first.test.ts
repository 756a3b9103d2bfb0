import { campaignTest } from "./campaign-test.ts";

campaignTest(0);
