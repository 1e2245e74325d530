// What is shown and asked about: a sample of the service's, a file of the browser's, or an address on the web.
//
// A source has: kind ('picture' or 'clip'), name, url (what the browser shows), medium() (what stands in the
// task's data), and shell (how a shell gets at the same medium: {served}, {file} or {address}).

import * as service from './service.js';

const SAMPLES = {
  picture: { route: 'web/sample.jpg', name: 'Sample picture' },
  clip: { route: 'web/sample.mp4', name: 'Sample clip' },
};
const CLIP_ENDINGS = /\.(mp4|m4v|webm|mov|mkv|avi|ogv|mpe?g)$/i;
const LARGEST_FILE_MB = 180;

export class SourceError extends Error {}

/** The service is handed the sample's bytes: it needs no way to itself. */
export async function sample(kind) {
  const { route, name } = SAMPLES[kind];
  const blob = await service.file(route);
  return { kind, name, ...inline(blob), shell: { served: service.address(route), type: blob.type } };
}

export function fromFile(file) {
  const kind = file.type.startsWith('video/') || CLIP_ENDINGS.test(file.name) ? 'clip' : 'picture';
  if (file.size > LARGEST_FILE_MB << 20) {
    throw new SourceError(`${file.name} has more than ${LARGEST_FILE_MB} MB, too much for one request of this page. `
      + 'Put it where the service can fetch it, and load it by its address.');
  }
  return { kind, name: file.name, ...inline(file), shell: { file: file.name, type: file.type } };
}

export function fromAddress(text) {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new SourceError('Give a whole address that begins with http:// or https://.');
  }
  const kind = CLIP_ENDINGS.test(url.pathname) ? 'clip' : 'picture';
  const name = url.pathname.split('/').pop() || url.host;
  return { kind, name, url: url.href, medium: async () => url.href, shell: { address: url.href }, release() {} };
}

function inline(blob) {
  const url = URL.createObjectURL(blob);
  let text;
  return { url, medium: () => (text ??= dataAddress(blob)), release: () => URL.revokeObjectURL(url) };
}

const dataAddress = (blob) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(new SourceError('The browser cannot read this file any more. Open it again.'));
  reader.readAsDataURL(blob);
});
