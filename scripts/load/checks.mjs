/** What has to hold, whatever the machine: ratios, counts, bounds and slopes, never times. */
export function createChecks() {
  const failures = [];
  return {
    failures,
    /** Told at once, so that a run that is cut off says what it had found. */
    check(what, holds, found) {
      console.log(`${holds ? "ok   " : "unmet"} ${what}: ${found}`);
      if (!holds) failures.push(`${what}: ${found}`);
    },
  };
}

const ms = (value) =>
  value === undefined ? "-" : value < 10 ? value.toFixed(1) : value.toFixed(0);
const spread = ({ p50, p90, p99 }) => `${ms(p50)}/${ms(p90)}/${ms(p99)}`;

/** One line of a table. */
export function lineOf(name, figures) {
  const { asked_per_second, goodput, tokens_per_second, held, first_ms, gap_ms, whole_ms } =
    figures;
  const { done, asked, refused, refused_ms } = figures;
  return (
    `${name.padEnd(14)} ${asked_per_second.toFixed(1)}/s asked, ${done}/${asked} done, ${refused} refused in ${spread(refused_ms)} ms, ` +
    `goodput ${goodput.toFixed(2)}/s, ${tokens_per_second.toFixed(0)} tok/s, ${held} held, ` +
    `first ${spread(first_ms)} ms, between ${spread(gap_ms)} ms, whole ${spread(whole_ms)} ms`
  );
}
