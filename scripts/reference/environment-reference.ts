/** docs/reference/environment.md. */
import { ENVIRONMENT_VARIABLES } from "./environment-variables.ts";

export function environmentReference(): string {
  const sections = Object.entries(ENVIRONMENT_VARIABLES).map(([title, variables]) => {
    const rows = variables.map(
      ({ name, what, absent }) => `| \`${name}\` | ${what} | ${absent ?? ""} |`,
    );
    return `## ${title}\n\n| variable | what it says | without it |\n|---|---|---|\n${rows.join("\n")}\n`;
  });
  return `# Environment variables

Options of the [command line](cli.md) go before variables. Nothing else of the environment is read, and no secret is written into logs or messages.

${sections.join("\n")}`;
}
