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
      await service.look();
      then();
    } catch (error) {
      part('checks-at').textContent = error.message;
    }
  });
}

/** What stands badly, with what to do; what is fine only where somebody wants to see it. `home` is Label Studio's. */
export function show({ found, at, running }, home) {
  const bad = worst(findings(found));
  part('look-again').textContent = running ? 'Looking…' : 'Look again';
  part('checks-at').textContent = at ? `Looked at ${clock(at)}` : '';
  list(part('checks'), bad.map((one) => item(one, home)), at ? 'Nothing stands in the way of a mask.' : 'Not made yet.');
  const fine = found.filter(({ state }) => state === 'ok');
  part('checks-fine').hidden = fine.length === 0;
  part('checks-fine-title').textContent = `${plural(fine.length, 'check')} without a finding`;
  list(part('checks-fine-list'), [...fine.filter(({ project }) => project === null).map(general), ...byProject(fine, home)]);
}

/** How many different problems the set-up has. */
export const problems = ({ found }) => findings(found).filter(({ check }) => check.state === 'problem').length;

/** Checks that say the same of several projects as one, as doctor groups them: but for the number and the places. */
function findings(found) {
  const causes = new Map();
  for (const check of found.filter(({ state }) => state !== 'ok')) {
    const said = [check.sentence, check.remedy].map((text) => ofAny(text).replace(/\S*\/\S*/g, ''));
    const cause = JSON.stringify([check.name, check.state, check.project === null, ...said]);
    if (!causes.has(cause)) causes.set(cause, { check, projects: [] });
    if (check.project !== null) causes.get(cause).projects.push(check.project);
  }
  return [...causes.values()];
}

const worst = (bad) => bad.toSorted((a, b) => ORDER.indexOf(a.check.state) - ORDER.indexOf(b.check.state));

const ofAny = (text) => text.replace(/--project \d+/g, '--project N');

const clock = (at) => new Date(at).toLocaleTimeString('en-GB', { timeStyle: 'short' });

function item({ check: { name, state, sentence, remedy }, projects }, home) {
  const many = projects.length > 1;
  return element('li', {},
    element('span', { className: 'line' },
      element('strong', {}, ...(projects.length ? [...named(projects, home), `: ${name}`] : [capital(name)])),
      element('small', { className: state }, STANDING[state])),
    element('span', { className: 'muted' }, ...marked(sentence)),
    ...(remedy ? [element('span', {}, ...marked(many ? ofAny(remedy) : remedy))] : []));
}

/** "Projects 3, 5 and 12", each a link where it is known to where. */
export function named(projects, home) {
  const between = (at) => (at === 0 ? '' : at === projects.length - 1 ? ' and ' : ', ');
  return [projects.length > 1 ? 'Projects ' : 'Project ',
    ...projects.flatMap((project, at) => [between(at), link(project, home)])];
}

const link = (project, home) => (home
  ? element('a', { href: `${home}/projects/${project}/data` }, String(project))
  : String(project));

const general = ({ name, sentence, remedy }) => element('li', {},
  element('span', {}, element('strong', {}, capital(name)), ': ', ...marked(sentence)),
  ...(remedy ? [element('span', { className: 'muted' }, ...marked(remedy))] : []));

/** A line a project: what was looked at. */
function byProject(fine, home) {
  const names = new Map();
  for (const { project, name } of fine) {
    if (project !== null) names.set(project, [...names.get(project) ?? [], name]);
  }
  return [...names].map(([project, what]) => element('li', {},
    element('span', {}, element('strong', {}, ...named([project], home)), `: ${[...new Set(what)].join(', ')}`)));
}

/** Text in which `backticks` mark a command or a tag. */
const marked = (text) => text.split('`').map((piece, at) => (at % 2 ? element('code', {}, piece) : piece));

const capital = (name) => name[0].toUpperCase() + name.slice(1);
