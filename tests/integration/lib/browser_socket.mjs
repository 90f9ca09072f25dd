// The browser libraries expect a global WebSocket; under node it is ws, which here takes aorta's
// self-signed certificate.
import { after } from 'node:test';
import WebSocket from 'ws';

globalThis.WebSocket = class extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { rejectUnauthorized: false });
  }
};

// When a test has failed, the libraries may go on to reconnect for ever.
after(() => setTimeout(() => process.exit(), 5000).unref());
