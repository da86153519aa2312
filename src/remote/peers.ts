/** Engines elsewhere, and which of them a request goes to. */
import { PronkError } from "../errors.ts";
import type { Channel } from "./channel.ts";

export interface EnginePeer {
  /** Stays the same: requests find the same engine by it. */
  readonly name: string;
  /** An open channel, for one request. @throws anything where there is none to be had. */
  connect(): Promise<Channel>;
}

/**
 * By the highest hash of name and key (rendezvous hashing): the same key gives the same order, and an engine that
 * comes or goes moves no key but its own.
 */
export function rankPeers(peers: readonly EnginePeer[], key: string): readonly EnginePeer[] {
  if (peers.length === 0) throw new PronkError("bad_request", "remote engine: no peers");
  return peers
    .map((peer) => ({ peer, weight: hash(`${peer.name}\n${key}`) }))
    .sort((a, b) => b.weight - a.weight || (a.peer.name < b.peer.name ? -1 : 1))
    .map(({ peer }) => peer);
}

/** FNV-1a of the UTF-16 units, then murmur3's finalizer: names that differ in a digit are far apart. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}

/** Tries on one engine before the next one gets a request: an object that was ended is made again by the second. */
const TRIES_PER_PEER = 2;

/** The engine for the n-th try in a row. */
export function peerForTry(ranked: readonly EnginePeer[], attempt: number): EnginePeer {
  return ranked[Math.floor(attempt / TRIES_PER_PEER) % ranked.length] as EnginePeer; // not empty
}
