// Loaded before a server on Node: the system's clock is what CLOCK_FILE says beside the true one, in milliseconds.
import { readFileSync } from "node:fs";

const { now } = Date;
Date.now = () => {
  try {
    return now() + Number(readFileSync(process.env.CLOCK_FILE, "utf8") || 0);
  } catch {
    return now();
  }
};
