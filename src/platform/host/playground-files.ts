/** The playground's page, as it lies beside the package's code. */
import type { PlaygroundFiles } from "../../server/playground/files.ts";
import type { Host } from "./host.ts";

/** From here in dist/src, and from here in the sources. */
const FOLDERS = ["../../../playground/server/", "../../../dist/playground/server/"];

/** What a name may be made of: no way out of the folder. */
const NAME = /^(?:playground\/)?[\w-]+(?:\.[\w-]+)*$/;

/** Read when they are asked for; a package without them has no page, and says so with 404. */
export function hostPlayground(host: Pick<Host, "readFile">): PlaygroundFiles {
  return {
    async read(name) {
      if (!NAME.test(name)) return undefined;
      for (const folder of FOLDERS) {
        const bytes = await host
          .readFile(new URL(folder + name, import.meta.url))
          .catch(() => undefined);
        if (bytes !== undefined) return new Uint8Array(bytes);
      }
      return undefined;
    },
  };
}
