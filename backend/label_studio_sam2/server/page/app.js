// The page: the status beside the playground.

import { Playground } from './playground.js';
import { fromAddress, fromFile, sample } from './source.js';
import { watch } from './status.js';

const part = (id) => document.getElementById(id);
const playground = new Playground();

const open = (load, button = null) => {
  for (const other of ['sample-picture', 'sample-clip', 'open-file']) part(other).removeAttribute('aria-current');
  button?.setAttribute('aria-current', 'true');
  playground.open(load);
};
const openFile = (file) => file && open(async () => fromFile(file), part('open-file'));

for (const kind of ['picture', 'clip']) {
  const button = part(`sample-${kind}`);
  button.addEventListener('click', () => open(() => sample(kind), button));
}
part('open-file').addEventListener('click', () => part('file').click());
part('file').addEventListener('change', (event) => {
  openFile(event.target.files[0]);
  event.target.value = '';
});
part('address-form').addEventListener('submit', (event) => {
  event.preventDefault();
  open(async () => fromAddress(part('address').value.trim()));
});
document.addEventListener('paste', (event) => openFile(event.clipboardData.files[0]));
document.addEventListener('dragover', (event) => event.preventDefault());
document.addEventListener('drop', (event) => {
  event.preventDefault();
  openFile(event.dataTransfer.files[0]);
});

watch();
open(() => sample('picture'), part('sample-picture'));
