import type { ConfigValue } from "./config-values.ts";

/** One configuration key: the single source of its validation, its documentation and its environment variable. */
export interface ConfigKey<T> {
  /** Dotted name. Kafka's name where the meaning is Kafka's. */
  readonly name: string;
  readonly description: string;
  /** Unit of the typed value: "ms", "bytes", or "" for none. */
  readonly unit: string;
  /** The default as text; undefined when there is none, which the type of the key then says. */
  readonly defaultText: string | undefined;
  /** True when it can change while the broker runs. */
  readonly isDynamic: boolean;
  /** Version that brought it. */
  readonly since: string;
  readonly value: ConfigValue<T>;
}

/** A key that may be absent; its typed value is then undefined. */
export interface OptionalConfigKey<T> extends ConfigKey<T> {
  readonly defaultText: undefined;
}

/** The typed configuration that a table of keys describes. */
export type TypedConfig<Table> = {
  readonly [Property in keyof Table]: Table[Property] extends OptionalConfigKey<infer T>
    ? T | undefined
    : Table[Property] extends ConfigKey<infer T>
      ? T
      : never;
};

/** What varies from key to key. */
export interface ConfigKeyOptions {
  readonly unit?: string;
  readonly isDynamic?: boolean;
  readonly since?: string;
}

/** A key with a default. */
export function configKey<T>(
  name: string,
  value: ConfigValue<T>,
  defaultText: string,
  description: string,
  options: ConfigKeyOptions = {},
): ConfigKey<T> & { readonly defaultText: string } {
  return { ...common(name, value, description, options), defaultText };
}

/** A key without a default. */
export function optionalConfigKey<T>(
  name: string,
  value: ConfigValue<T>,
  description: string,
  options: ConfigKeyOptions = {},
): OptionalConfigKey<T> {
  return { ...common(name, value, description, options), defaultText: undefined };
}

function common<T>(
  name: string,
  value: ConfigValue<T>,
  description: string,
  options: ConfigKeyOptions,
): Omit<ConfigKey<T>, "defaultText"> {
  return {
    name,
    description,
    unit: options.unit ?? unitOf(value),
    isDynamic: options.isDynamic ?? false,
    since: options.since ?? "0.1.0",
    value,
  };
}

function unitOf(value: ConfigValue<unknown>): string {
  if (value.kind === "duration") return "ms";
  return value.kind === "size" ? "bytes" : "";
}
