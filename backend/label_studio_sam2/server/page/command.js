// The panel that shows the last request as a curl command, written only while somebody looks.

import * as curl from './curl.js';
import * as service from './service.js';

const part = (id) => document.getElementById(id);

export class Command {
  #request = null;
  #shell = null;

  /** @param {() => void} copied is told when the command is on the clipboard */
  constructor(copied) {
    part('curl').addEventListener('toggle', () => this.#write());
    part('copy').addEventListener('click', async () => { await this.#copy(); copied(); });
  }

  /** Takes the request for a medium, and how a shell gets at the medium (see source.js); or null for none. */
  show(request, shell) {
    this.#request = request;
    this.#shell = shell;
    part('curl').hidden = !request;
    this.#write();
  }

  async #write() {
    if (!part('curl').open || !this.#request) return;
    const password = await service.wantsPassword().catch(() => false);
    part('curl-text').value = curl.command(service.address('predict'), this.#shell, this.#request, password);
    part('curl-note').textContent = curl.note(this.#shell, password);
  }

  /** Browsers have a clipboard only on https and localhost; elsewhere the old way still works. */
  async #copy() {
    const field = part('curl-text');
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      field.select();
      document.execCommand('copy');
    }
  }
}
