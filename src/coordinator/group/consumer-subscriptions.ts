import { compareText } from "../../metadata/image.ts";
import type { MetadataImage } from "../../metadata/image.ts";
import type { TopicId } from "../../model/ids.ts";
import { INTERNAL_TOPICS } from "../../model/topic-partition.ts";
import type { AssignedTopics } from "./assignor.ts";
import type { MemberValue } from "./group-records.ts";
import { TopicRegex } from "./topic-regex.ts";

/** The part of a member's record that says which topics it wants. */
export type Subscription = Pick<MemberValue, "subscribedTopicNames" | "subscribedTopicRegex">;

/** What the members subscribe to, as far as it exists. */
export interface SubscribedTopics extends AssignedTopics {
  /** The topics of one of those members, sorted by name. */
  of(subscription: Subscription): readonly TopicId[];
}

/**
 * Turns the names and patterns of members into topics. Remembers which names a pattern matches, so that a join costs
 * nothing for it, and a new topic one match for each pattern.
 */
export class ConsumerSubscriptions {
  #patterns = new Map<string, Pattern>();

  /** Topics came or went: patterns are looked at again when they are next asked for. */
  topicsChanged(): void {
    for (const pattern of this.#patterns.values()) pattern.matched = undefined;
  }

  /** The topics of all these members. Forgets the patterns that none of them has. */
  resolve(members: Iterable<Subscription>, image: MetadataImage): SubscribedTopics {
    const known = this.#patterns;
    this.#patterns = new Map<string, Pattern>();
    const bySubscription = new Map<string, readonly TopicId[]>();
    const all = new Map<TopicId, { readonly name: string; readonly partitions: number }>();
    for (const member of members) {
      const key = keyOf(member);
      if (bySubscription.has(key)) continue;
      const pattern = known.get(member.subscribedTopicRegex);
      if (pattern !== undefined) this.#patterns.set(member.subscribedTopicRegex, pattern);
      const topicIds: TopicId[] = [];
      for (const name of this.#names(member, image)) {
        const topic = image.topic(name);
        if (topic === undefined) continue;
        topicIds.push(topic.topicId);
        all.set(topic.topicId, { name, partitions: topic.partitions.length });
      }
      bySubscription.set(key, topicIds);
    }
    const sorted = [...all].sort(([, a], [, b]) => compareText(a.name, b.name));
    return {
      topicIds: sorted.map(([topicId]) => topicId),
      partitionCount: (topicId) => all.get(topicId)?.partitions ?? 0,
      of: (subscription) => bySubscription.get(keyOf(subscription)) ?? [],
    };
  }

  /** Whether the topic is one of this subscription. */
  includes({ subscribedTopicNames, subscribedTopicRegex }: Subscription, topic: string): boolean {
    if (subscribedTopicNames.includes(topic)) return true;
    if (subscribedTopicRegex === "" || INTERNAL_TOPICS.has(topic)) return false;
    return this.#pattern(subscribedTopicRegex).matches(topic);
  }

  /** Sorted, each once. */
  #names(
    { subscribedTopicNames, subscribedTopicRegex }: Subscription,
    image: MetadataImage,
  ): readonly string[] {
    if (subscribedTopicRegex === "") return subscribedTopicNames;
    const matched = this.#pattern(subscribedTopicRegex).names(image);
    return [...new Set([...subscribedTopicNames, ...matched])].sort(compareText);
  }

  #pattern(text: string): Pattern {
    let pattern = this.#patterns.get(text);
    if (pattern === undefined) this.#patterns.set(text, (pattern = new Pattern(text)));
    return pattern;
  }
}

/** A pattern with what it was found to match. */
class Pattern {
  /** Undefined: to be found out. */
  matched: readonly string[] | undefined;
  /** Undefined: no pattern that this version understands; it matches nothing. */
  readonly #regex: TopicRegex | undefined;
  #known = new Map<string, boolean>();

  constructor(text: string) {
    const compiled = TopicRegex.compile(text);
    this.#regex = compiled.ok ? compiled.regex : undefined;
  }

  matches(name: string): boolean {
    return this.#known.get(name) ?? this.#regex?.matches(name) ?? false;
  }

  names(image: MetadataImage): readonly string[] {
    if (this.matched !== undefined) return this.matched;
    const matched: string[] = [];
    const known = new Map<string, boolean>();
    for (const { name } of image.topics()) {
      if (INTERNAL_TOPICS.has(name)) continue;
      const isMatch = this.matches(name);
      known.set(name, isMatch);
      if (isMatch) matched.push(name);
    }
    this.#known = known;
    this.matched = matched;
    return matched;
  }
}

/** Topic names have neither of the two separators in them. */
function keyOf({ subscribedTopicNames, subscribedTopicRegex }: Subscription): string {
  return `${subscribedTopicNames.join(",")}\n${subscribedTopicRegex}`;
}
