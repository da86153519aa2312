import { describe, expect, test } from "vitest";
import {
  added,
  type Conversation,
  changed,
  EMPTY,
  fromStored,
  type Message,
  pathOf,
  placeOf,
  promptOf,
  shortened,
  stepped,
  toStored,
} from "../../../src/playground/state/conversation.ts";

/** `u:Hello a:Hi u:And?`, one after the other, under ids 1, 2, 3. */
function conversation(text: string): Conversation {
  return text.split(" ").reduce((before, said, i) => {
    const [role, words = ""] = said.split(":");
    const parent = i === 0 ? undefined : String(i);
    return added(
      before,
      message(String(i + 1), parent, role === "u" ? "user" : "assistant", words),
    );
  }, EMPTY);
}

function message(
  id: string,
  parent: string | undefined,
  role: Message["role"],
  text = id,
): Message {
  return { id, parent, role, text, ...(role === "assistant" && { state: "done" as const }) };
}

const textsOf = (messages: readonly Message[]): string =>
  messages.map(({ text }) => text).join(" ");

const said = conversation("u:one a:two u:three a:four");

describe("a message that is said in another's stead", () => {
  const edited = added(said, message("5", "2", "user", "other"));

  test("begins a branch, and what came after the first stays on its own", () => {
    expect(textsOf(pathOf(edited))).toBe("one two other");
    expect(textsOf(pathOf(stepped(edited, edited.messages["5"]!, -1)))).toBe("one two three four");
  });

  test("knows its place among the others", () => {
    expect(placeOf(edited, edited.messages["5"]!)).toEqual({ index: 1, of: 2 });
    expect(placeOf(edited, edited.messages["3"]!)).toEqual({ index: 0, of: 2 });
    expect(placeOf(edited, edited.messages["2"]!)).toEqual({ index: 0, of: 1 });
  });

  test("has nothing beyond the first and the last", () => {
    expect(stepped(edited, edited.messages["5"]!, 1)).toBe(edited);
    expect(stepped(edited, edited.messages["3"]!, -1)).toBe(edited);
  });

  test("may be the first of all", () => {
    const other = added(said, message("6", undefined, "user", "anew"));
    expect(textsOf(pathOf(other))).toBe("anew");
    expect(textsOf(pathOf(stepped(other, other.messages["6"]!, -1)))).toBe("one two three four");
  });
});

test("changing a message leaves the conversation that was", () => {
  const after = changed(said, "4", { text: "more" });
  expect(textsOf(pathOf(after))).toBe("one two three more");
  expect(textsOf(pathOf(said))).toBe("one two three four");
  expect(changed(said, "gone", { text: "x" })).toBe(said);
});

describe("the prompt", () => {
  test("ends with the message that is answered, whatever came after it", () => {
    expect(textsOf(promptOf(said, "3"))).toBe("one two three");
    expect(textsOf(promptOf(said))).toBe("one two three four");
  });

  test("has no answer that is empty", () => {
    expect(textsOf(promptOf(conversation("u:one a: u:three")))).toBe("one three");
  });

  test("loses its older half, from a message of the user's on, until one is left", () => {
    const long = conversation("u:1 a:2 u:3 a:4 u:5 a:6 u:7");
    const once = shortened(long)!;
    expect(textsOf(promptOf(once))).toBe("5 6 7");
    const twice = shortened(once)!;
    expect(textsOf(promptOf(twice))).toBe("7");
    expect(shortened(twice)).toBeUndefined();
    expect(textsOf(pathOf(twice))).toBe("1 2 3 4 5 6 7");
  });
});

describe("what is kept", () => {
  const running = changed(said, "4", {
    state: "running",
    logprobs: [{ token: "a", logprob: -1, bytes: [97], top_logprobs: [] }],
  });

  test("is the same conversation, without probabilities; what ran is stopped", () => {
    const stored = fromStored(JSON.parse(JSON.stringify(toStored(running))));
    expect(textsOf(pathOf(stored!))).toBe("one two three four");
    expect(stored!.messages["4"]).toEqual({ ...said.messages["4"], state: "stopped" });
  });

  test.each([
    ["nothing", null],
    ["a list", []],
    ["another version's", { messages: [] }],
    ["a message without a text", { ...said, messages: { 1: { id: "1", role: "user" } } }],
    ["a message under another's id", { ...said, messages: { 1: said.messages["2"] } }],
    ["a role that is none", { ...said, messages: { 1: { ...said.messages["1"], role: "x" } } }],
    ["a child that is not there", { ...said, children: { "": ["9"] } }],
    ["a choice that is not there", { ...said, chosen: { "": "9" } }],
  ])("is refused where it is %s", (_, stored) => {
    expect(fromStored(stored)).toBeUndefined();
  });

  test("may be a circle, which has an end all the same", () => {
    const circle = fromStored({ ...said, chosen: { "": "1", "1": "2", "2": "1" } });
    expect(pathOf(circle!).length).toBeLessThan(10);
  });
});
