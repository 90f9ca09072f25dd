// What the system tells of a process.
import fs from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

export const fileCount = (pid) => fs.readdirSync(`/proc/${pid}/fd`).length;

/** The fewest open files within a moment: without the connections that only ask how it is. */
export async function quietFileCount(pid) {
  let fewest = Infinity;
  for (let i = 0; i < 10; i++) {
    fewest = Math.min(fewest, fileCount(pid));
    await delay(10);
  }
  return fewest;
}

/** Its resident memory in kB. */
export const residentKb = (pid) => Number(/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
