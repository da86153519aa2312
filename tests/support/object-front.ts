/** The Worker of workers/cloudflare-front.ts, and ways to end an engine object in the middle of its work. */
import worker from "../../workers/cloudflare-front.ts";

export { QuotaObject, ResponsesObject } from "../../workers/cloudflare-front.ts";

type Env = Parameters<typeof worker.fetch>[1];
type Context = Parameters<typeof worker.fetch>[2];

export default {
  /** `/test/kill?object=engine-0-0` ends it, `/test/state?object=…` tells of it. */
  async fetch(request: Request, env: Env, context: Context): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (!pathname.startsWith("/test/")) return worker.fetch(request, env, context);
    const { ENGINES } = env;
    const object = ENGINES.get(ENGINES.idFromName(searchParams.get("object") ?? ""));
    try {
      const answer = await object.fetch(`https://engine${pathname}`, { headers: {} });
      return answer as Response;
    } catch (error) {
      return Response.json({ error: String(error) });
    }
  },
};
