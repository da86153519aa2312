import { expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import { RequestError, toErrorReply } from "../../../src/server/errors.ts";

test.each([
  ["bad_request", 400, "invalid_request_error", "invalid_value"],
  ["unsupported", 400, "invalid_request_error", "unsupported_parameter"],
  ["context_overflow", 400, "invalid_request_error", "context_length_exceeded"],
  ["not_found", 404, "invalid_request_error", "not_found"],
  ["overloaded", 429, "rate_limit_error", "rate_limit_exceeded"],
  ["unavailable", 503, "server_error", "engine_unavailable"],
  ["loading", 503, "server_error", "model_loading"],
  ["source_failed", 503, "server_error", "source_failed"],
  ["engine_failed", 500, "server_error", "engine_failed"],
  ["out_of_memory", 500, "server_error", "engine_failed"],
  ["bad_format", 500, "server_error", "engine_failed"],
  ["corrupt", 500, "server_error", "engine_failed"],
  ["aborted", 499, "invalid_request_error", "aborted"],
] as const)("%s is %i %s %s", (code, status, type, wire) => {
  const reply = toErrorReply(new PronkError(code, "where: what", { param: "here" }));
  expect(reply.status).toBe(status);
  expect(reply.body).toEqual({
    error: { message: "where: what", type, param: "here", code: wire },
  });
  const hasRetryAfter = "retry-after" in reply.headers && "retry-after-ms" in reply.headers;
  expect(hasRetryAfter).toBe(status === 429 || status === 503);
});

test.each([
  ["unsupported_parameter", 400],
  ["invalid_api_key", 401],
  ["model_not_found", 404],
  ["unknown_url", 404],
  ["method_not_allowed", 405],
  ["request_too_large", 413],
] as const)("%s is %i", (code, status) => {
  const reply = toErrorReply(new RequestError(code, "no"));
  expect(reply.status).toBe(status);
  expect(reply.body.error).toEqual({
    message: "no",
    type: "invalid_request_error",
    param: null,
    code,
  });
  expect(reply.headers["x-should-retry"]).toBe("false");
});

test("an error that says how long to wait is taken at its word", () => {
  const wait = (retryAfterMs: number) =>
    toErrorReply(new PronkError("source_failed", "down", { retryAfterMs })).headers;
  expect(wait(2500)).toMatchObject({ "retry-after": "3", "retry-after-ms": "2500" });
  expect(wait(0)).toMatchObject({ "retry-after": "1", "retry-after-ms": "1000" });
});

test.each([new TypeError("x is undefined"), "text", undefined])(
  "anything else is a bug, whose message stays inside: %s",
  (error) => {
    const { status, body } = toErrorReply(error);
    expect(status).toBe(500);
    expect(body.error).toEqual({
      message: "internal error",
      type: "server_error",
      param: null,
      code: "engine_failed",
    });
  },
);
