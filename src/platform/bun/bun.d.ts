/** The part of Bun's API that is used here; https://bun.com/reference/bun has the rest. */
declare const Bun: {
  readonly version: string;
  /** @throws where there is no such module. */
  resolveSync(specifier: string, from: string): string;
  serve(options: {
    readonly hostname: string;
    readonly port: number;
    /** Seconds without traffic after which a connection is cut. */
    readonly idleTimeout: number;
    fetch(request: Request): Response | Promise<Response>;
  }): { readonly port: number; stop(closeActiveConnections: boolean): Promise<void> };
};
