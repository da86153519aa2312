/** The part of Deno's API that is used here; https://docs.deno.com/api/deno has the rest. */
declare const Deno: {
  readonly version: { readonly deno: string };
  readFile(path: string | URL): Promise<Uint8Array<ArrayBuffer>>;
  open(path: string | URL): Promise<{
    stat(): Promise<{ readonly size: number }>;
    seekSync(offset: number, whence: 0): number;
    readSync(destination: Uint8Array): number | null;
    close(): void;
  }>;
  serve(
    options: {
      readonly hostname: string;
      readonly port: number;
      readonly signal: AbortSignal;
      onListen(): void;
    },
    handler: (request: Request) => Response | Promise<Response>,
  ): {
    readonly addr: { readonly port: number };
    readonly finished: Promise<void>;
    shutdown(): Promise<void>;
  };
};
