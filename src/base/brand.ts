declare const brand: unique symbol;

/** A nominal type over a structural one: `Brand<number, "Offset">` takes no bare number and no other brand. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
