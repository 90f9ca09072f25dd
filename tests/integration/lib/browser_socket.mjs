// The browser libraries expect a global WebSocket; under node it is ws, which here takes aorta's
// self-signed certificate.
import WebSocket from 'ws';

globalThis.WebSocket = class extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { rejectUnauthorized: false });
  }
};
