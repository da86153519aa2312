/**
 * Finished turns in a Durable Object's SQLite: their tokens, and their keys and values as a snapshot's bytes in rows. A
 * conversation that goes on takes the place of its turn before; what is used least goes when there are too many bytes.
 */
import { commonLength } from "../../engine/slots.ts";

/** What is used of SqlStorage. */
export interface SqlLike {
  // biome-ignore lint/suspicious/noExplicitAny: a row's columns are the query's
  exec(query: string, ...bindings: any[]): Iterable<any>;
}

/** A row may have 2 MB; each is an allocation when it is read, and an isolate has few MB left. */
const ROW_BYTES = 256 * 1024;

interface Turn {
  readonly id: number;
  /** Of the model and its adapters: PrefixStorage.key(). */
  readonly key: string;
  readonly ids: Int32Array;
  readonly bytes: number;
  /** Grows with each use. */
  used: number;
}

/** A turn that is being written: nobody finds it before it is whole. */
export interface TurnWriter {
  write(piece: Uint8Array): void;
  /** @param tokens how many of the ids it holds; 0: it is dropped. */
  end(tokens: number): void;
}

export class TurnStore {
  readonly #sql: SqlLike;
  readonly #maxBytes: number;
  /** All that are whole. */
  readonly #turns = new Map<number, Turn>();
  #last = 0;
  #used = 0;

  /** @param maxBytes of all turns together. */
  constructor(sql: SqlLike, maxBytes: number) {
    this.#sql = sql;
    this.#maxBytes = maxBytes;
    sql.exec(`CREATE TABLE IF NOT EXISTS turns
      (id INTEGER PRIMARY KEY, key TEXT, ids BLOB, bytes INTEGER, used INTEGER)`);
    sql.exec(`CREATE TABLE IF NOT EXISTS pieces
      (turn INTEGER, part INTEGER, bytes BLOB, PRIMARY KEY (turn, part))`);
    // Of objects that were ended while they wrote.
    sql.exec("DELETE FROM pieces WHERE turn NOT IN (SELECT id FROM turns)");
    for (const { id, key, ids, bytes, used } of sql.exec("SELECT * FROM turns")) {
      this.#turns.set(id, { id, key, ids: new Int32Array(ids), bytes, used });
      this.#last = Math.max(this.#last, id);
      this.#used = Math.max(this.#used, used);
    }
  }

  get bytes(): number {
    return [...this.#turns.values()].reduce((sum, turn) => sum + turn.bytes, 0);
  }

  get count(): number {
    return this.#turns.size;
  }

  /** The turn with most of a text's beginning, and how many tokens; undefined where there is none. */
  find(key: string, ids: ArrayLike<number>): { id: number; tokens: number } | undefined {
    let best: { id: number; tokens: number } | undefined;
    for (const turn of this.#turns.values()) {
      if (turn.key !== key) continue;
      const tokens = commonLength(turn.ids, ids);
      if (tokens > (best?.tokens ?? 0)) best = { id: turn.id, tokens };
    }
    return best;
  }

  /** A turn's pieces, row by row; it counts as used. */
  *read(id: number): Generator<Uint8Array, void, undefined> {
    const turn = this.#turns.get(id);
    if (turn === undefined) return;
    turn.used = ++this.#used;
    this.#sql.exec("UPDATE turns SET used = ? WHERE id = ?", turn.used, id);
    for (let part = 0; ; part++) {
      const [row] = this.#sql.exec(
        "SELECT bytes FROM pieces WHERE turn = ? AND part = ?",
        ...[id, part],
      );
      if (row === undefined) return;
      yield new Uint8Array(row.bytes as ArrayBuffer);
    }
  }

  /** Drops one that turned out to be damaged, or of no use. */
  delete(id: number): void {
    this.#turns.delete(id);
    this.#sql.exec("DELETE FROM turns WHERE id = ?", id);
    this.#sql.exec("DELETE FROM pieces WHERE turn = ?", id);
  }

  /** @param ids the turn's, of which the last may not be held by anybody. */
  begin(key: string, ids: readonly number[]): TurnWriter {
    const id = ++this.#last;
    const row = new Uint8Array(ROW_BYTES);
    let filled = 0;
    let parts = 0;
    let bytes = 0;
    const flush = (): void => {
      if (filled === 0) return;
      const whole = filled === row.length ? row.buffer : row.slice(0, filled).buffer;
      this.#sql.exec("INSERT INTO pieces VALUES (?, ?, ?)", id, parts++, whole);
      filled = 0;
    };
    return {
      write: (piece) => {
        bytes += piece.length;
        for (let at = 0; at < piece.length; ) {
          const part = piece.subarray(at, at + row.length - filled);
          row.set(part, filled);
          filled += part.length;
          at += part.length;
          if (filled === row.length) flush();
        }
      },
      end: (tokens) => {
        if (tokens > 0) flush();
        if (tokens === 0 || bytes > this.#maxBytes) {
          this.delete(id);
          return;
        }
        this.#keep({ id, key, ids: Int32Array.from(ids.slice(0, tokens)), bytes });
      },
    };
  }

  #keep(saved: Omit<Turn, "used">): void {
    const turn: Turn = { ...saved, used: ++this.#used };
    const { id, key, ids, bytes } = turn;
    this.#sql.exec(
      "INSERT INTO turns VALUES (?, ?, ?, ?, ?)",
      ...[id, key, ids.buffer, bytes, turn.used],
    );
    // What goes on from a turn has all of it.
    for (const other of [...this.#turns.values()]) {
      if (other.key !== key || other.ids.length > ids.length) continue;
      if (commonLength(other.ids, ids) === other.ids.length) this.delete(other.id);
    }
    this.#turns.set(id, turn);
    const oldest = [...this.#turns.values()].sort((a, b) => a.used - b.used);
    for (let total = this.bytes; total > this.#maxBytes; ) {
      const first = oldest.shift();
      if (first === undefined) return;
      this.delete(first.id);
      total -= first.bytes;
    }
  }
}
