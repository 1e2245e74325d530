// What keeps a mask from appearing: doctor's checks, as the service last made them in the background.

import * as service from './service.js';
import { element, list } from './elements.js';
import { plural } from './wording.js';

const STANDING = { problem: 'problem', warning: 'look at this' };
const ORDER = ['problem', 'warning'];

const part = (id) => document.getElementById(id);

/** Lets "Look again" make the checks anew; `then` is called once they have begun. */
export function offerLook(then) {
  part('look-again').addEventListener('click', async () => {
    try {
      show(await service.look());
      then();
    } catch (error) {
      part('checks-at').textContent = error.message;
    }
  });
}

/** What stands badly, with what to do; what is fine only where somebody wants to see it. */
export function show({ found, at, running }) {
  const bad = found.filter(({ state }) => state !== 'ok');
  const fine = found.filter(({ state }) => state === 'ok');
  bad.sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
  part('look-again').textContent = running ? 'Looking…' : 'Look again';
  part('checks-at').textContent = at ? `Looked at ${clock(at)}` : '';
  list(part('checks'), bad.map(item), at ? 'Nothing stands in the way of a mask.' : 'Not made yet.');
  part('checks-fine').hidden = fine.length === 0;
  part('checks-fine-title').textContent = `${plural(fine.length, 'check')} without a finding`;
  list(part('checks-fine-list'), fine.map(item));
}

const clock = (at) => new Date(at).toLocaleTimeString('en-GB', { timeStyle: 'short' });

const item = ({ name, state, sentence, remedy, project }) => element('li', {},
  element('span', { className: 'line' },
    element('strong', {}, project === null ? capital(name) : `Project ${project}: ${name}`),
    ...(STANDING[state] ? [element('small', { className: state }, STANDING[state])] : [])),
  element('span', { className: 'muted' }, ...marked(sentence)),
  ...(remedy ? [element('span', {}, ...marked(remedy))] : []));

/** Text in which `backticks` mark a command or a tag. */
const marked = (text) => text.split('`').map((piece, at) => (at % 2 ? element('code', {}, piece) : piece));

const capital = (name) => name[0].toUpperCase() + name.slice(1);
