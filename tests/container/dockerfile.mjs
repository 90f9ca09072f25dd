// Reads as much of a Dockerfile as ours uses; anything else is an error.
const KNOWN = ['FROM', 'RUN', 'WORKDIR', 'COPY', 'USER', 'EXPOSE', 'STOPSIGNAL', 'HEALTHCHECK', 'ENTRYPOINT', 'CMD'];

/** [{name, base, steps: [{what, text}]}], a stage each. */
export function parseDockerfile(text) {
  const lines = text.replace(/^\s*#.*\n/gm, '').replace(/\\\n/g, ' ').split('\n').map((line) => line.trim()).filter(Boolean);
  const stages = [];
  for (const line of lines) {
    const [, what, rest] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (!KNOWN.includes(what)) throw new Error(`Dockerfile: ${line}`);
    if (what === 'FROM') {
      const [, base, name] = /^(\S+)(?: AS (\S+))?$/.exec(rest);
      stages.push({ name, base, steps: [] });
    } else {
      stages.at(-1).steps.push({ what, text: rest });
    }
  }
  return stages;
}

/** The last step of a kind, as JSON where it is a list. */
export function lastOf(stage, what) {
  const text = stage.steps.filter((step) => step.what === what).at(-1)?.text;
  return text?.startsWith('[') ? JSON.parse(text) : text;
}

/** The command that HEALTHCHECK runs. */
export const healthCommand = (stage) => JSON.parse(/ CMD (\[.*\])$/.exec(` ${lastOf(stage, 'HEALTHCHECK')}`)[1]);
