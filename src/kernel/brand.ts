declare const brand: unique symbol;

/** A primitive that only its parser can mint: `Brand<string, 'BoxId'>` is not a `Brand<string, 'HostId'>`. */
export type Brand<Primitive, Name extends string> = Primitive & { readonly [brand]: Name };
