// Lets one allocation of a running aorta fail: see tests/faults/fail_alloc.c.
import fs from 'node:fs';
import path from 'node:path';
import { AORTA, temporaryFolder } from './server.mjs';

const LIBRARY = path.join(path.dirname(AORTA), 'tests/fail_alloc.so');
export const NO_FAULTS = fs.existsSync(LIBRARY) ? false : `${LIBRARY} is not built`;

/** Whose calls fail: aorta's own ones, and those of the libraries that only work on its data. What
 * libwebsockets, libuv, OpenSSL, libcurl and hiredis do then is theirs. */
const MODULES = process.env.AORTA_FAIL_IN ?? ':cjson:osip';

export class Faults {
  constructor(t) {
    this.folder = temporaryFolder();
    this.file = path.join(this.folder, 'control');
    fs.writeFileSync(this.file, Buffer.alloc(4096));
    this.fd = fs.openSync(this.file, 'r+');
    t.after(() => {
      fs.closeSync(this.fd);
      fs.rmSync(this.folder, { recursive: true, force: true });
    });
  }

  /** For the `command` of a Server. */
  get command() {
    const asan = `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0`;
    return ['env', `LD_PRELOAD=${LIBRARY}`, `FAIL_ALLOC_FILE=${this.file}`, `FAIL_ALLOC_IN=${MODULES}`, `ASAN_OPTIONS=${asan}`];
  }

  write(...numbers) {
    const bytes = Buffer.alloc(8 * numbers.length);
    numbers.forEach((number, i) => bytes.writeBigInt64LE(BigInt(number), 8 * i));
    fs.writeSync(this.fd, bytes, 0, bytes.length, 0);
  }

  /** From now on allocation number `nth` fails, and `length - 1` after it. */
  arm(nth, length = 1) {
    this.write(0, length, 0, 0, 0);
    this.write(nth);
  }

  /** All succeed again: how many were asked for and failed meanwhile, and where the first did. */
  disarm() {
    this.write(0);
    const bytes = Buffer.alloc(40);
    fs.readSync(this.fd, bytes, 0, 40, 0);
    const [seen, failed, where] = [16, 24, 32].map((at) => Number(bytes.readBigInt64LE(at)));
    return { seen, failed, where: `0x${where.toString(16)}` };
  }
}
