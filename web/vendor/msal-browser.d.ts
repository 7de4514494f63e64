/** Leaves `msal` in the global object; nothing is exported. */
export {};
