/** What a metric is, once: its documentation, its type and the labels that its series may carry. */
export interface Metric<Labels extends readonly string[] = readonly string[]> {
  readonly type: "counter" | "gauge" | "histogram";
  /** In this order in each series. */
  readonly labels: Labels;
  /** One sentence; the unit is in the name. */
  readonly help: string;
}

/** Metrics by name. */
export type MetricTable = Readonly<Record<string, Metric>>;

/** The labels of a metric, each with a value; undefined leaves one out. */
export type LabelsOf<M extends Metric> = {
  readonly [Label in M["labels"][number]]: string | number | undefined;
};

/** A value that can go both ways. */
export function gauge<const Labels extends readonly string[]>(help: string, labels: Labels): Metric<Labels> {
  return { type: "gauge", labels, help };
}

/** A count since the start; its name ends in _total. */
export function counter<const Labels extends readonly string[]>(
  help: string,
  labels: Labels,
): Metric<Labels> {
  return { type: "counter", labels, help };
}

/** Counts by size; its series end in _bucket, _sum and _count. */
export function histogram<const Labels extends readonly string[]>(
  help: string,
  labels: Labels,
): Metric<Labels> {
  return { type: "histogram", labels, help };
}
