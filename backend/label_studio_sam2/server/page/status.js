// The right-hand side: what GET / says, read again from time to time while somebody looks.

import * as checks from './checks.js';
import { element, facts, list } from './elements.js';
import * as service from './service.js';
import * as versions from './versions.js';
import { plural } from './wording.js';

const CALM = 5000; // milliseconds between two looks
const BUSY = 1000; // while the model loads or a job runs
const SHOWN_JOBS = 12;
const SHOWN_ENDED = 5;
const SHOWN_PROBLEMS = 8;
const SOURCES = [['memory', 'from memory'], ['redis', 'from Redis'], ['encoded', 'encoded anew']];
const WAITING = {
  click_decode: 'clicks', click_encode: 'pictures of clicks', video_frame: 'video frames', tuning: 'tuning steps',
  prewarm: 'pictures ahead of time',
};
const KINDS = {
  warm: 'Encoding ahead', 'warm project': 'Encoding ahead', track: 'Tracking', fit: 'Tuning', masks: 'Masks',
  opened: 'Masks', follow: 'Following',
};
const ON_PROJECTS = new Set(['warm project', 'masks', 'follow', 'fit']);
const RUNNING = new Set(['queued', 'running']);

const part = (id) => document.getElementById(id);

/** Looks after the service until the page is closed. */
export function watch() {
  let timer;
  const look = async () => {
    clearTimeout(timer);
    if (document.hidden) return;
    let pause = CALM;
    try {
      const [status, tuned] = await Promise.all([service.status(), service.versions()]);
      show(status);
      versions.show(tuned, status.model_version);
      pause = isCalm(status) ? CALM : BUSY;
    } catch (error) {
      pill('down', 'The service does not answer');
    }
    clearTimeout(timer);
    timer = setTimeout(look, pause);
  };
  document.addEventListener('visibilitychange', look);
  document.addEventListener('asking', look);
  checks.offerLook(look);
  look();
}

const isCalm = (status) => status.ready && !status.checks.running && !status.jobs.some((job) => RUNNING.has(job.state));

function show(status) {
  pill(...state(status));
  part('demo-note').hidden = status.model !== 'demo';
  part('reason').hidden = status.ready || !status.reason;
  part('reason').textContent = status.reason ?? '';
  part('version').textContent = status.version ? `Version ${status.version}.` : '';
  facts(part('facts'), [
    ['State', status.ready ? 'ready' : 'not ready'],
    ['Model', status.model],
    ['Version', status.model_version],
    ['Device', status.device ?? 'not known yet'],
  ]);
  showCache(status.cache ?? {});
  showQueue(status.queue ?? {});
  showJobs(status.jobs ?? []);
  showProblems(status.problems ?? {}, status.label_studio);
  checks.show(status.checks, status.label_studio);
}

/** The worst that there is to tell: a service may be ready, and no mask appear in any project. */
function state({ ready, model, device, checks: made, problems }) {
  if (!ready) return ['loading', `${model} is not ready yet`];
  const here = `Ready: ${model} on ${device}`;
  const found = checks.problems(made);
  if (found) return ['trouble', `${here}, but ${plural(found, 'problem')} in the set-up`];
  const failing = Object.keys(problems ?? {}).length;
  return failing ? ['warning', `${here}; the last request failed in ${plural(failing, 'project')}`] : ['ready', here];
}

function pill(name, text) {
  part('pill').dataset.state = name;
  const label = part('pill-text');
  if (label.textContent !== text) label.textContent = text;
}

function showCache(cache) {
  const count = (source) => cache[source] ?? 0;
  const all = SOURCES.reduce((sum, [source]) => sum + count(source), 0);
  part('cache-bar').replaceChildren(...SOURCES.map(([source]) => {
    const piece = element('i', { className: source });
    piece.style.flexGrow = count(source);
    return piece;
  }));
  facts(part('cache'), [
    ...(all ? SOURCES.map(([source, name]) => [
      element('span', { className: `key ${source}` }, name),
      `${count(source)} (${Math.round((100 * count(source)) / all)}%)`,
    ]) : [['Lookups', 'none yet']]),
    ...(cache.capacity ? [['Memory', `${megabytes(cache.bytes)} of ${megabytes(cache.capacity)} MB`]] : []),
  ]);
}

const megabytes = (bytes) => Math.round((bytes ?? 0) / 2 ** 20).toLocaleString('en');

function showQueue(queue) {
  const waiting = Object.entries(queue).filter(([, count]) => count > 0);
  facts(part('queue'), waiting.length
    ? waiting.map(([kind, count]) => [WAITING[kind] ?? kind.replaceAll('_', ' '), String(count)])
    : [['Queue', 'empty']]);
}

function showJobs(jobs) {
  const running = jobs.filter((job) => RUNNING.has(job.state));
  list(part('jobs'), [...running.slice(0, SHOWN_JOBS), ...ended(jobs)].map((job) => {
    const { done, total, unit } = job.progress;
    const [outcome, why] = outcomeOf(job);
    const counted = total && RUNNING.has(job.state) ? `${done} of ${total} ${unit}` : outcome;
    const item = element('li', {},
      element('span', { className: 'line' }, element('span', {}, nameOf(job)), element('small', {}, counted)));
    if (RUNNING.has(job.state)) {
      const progress = element('progress', { ariaLabel: nameOf(job) });
      if (total) Object.assign(progress, { max: total, value: done });
      item.append(progress);
    }
    if (why) item.append(element('span', { className: 'muted' }, why));
    if (RUNNING.has(job.state)) item.append(stopButton(job));
    return item;
  }));
}

/** The last that ended, in their order: work on projects before what single tasks and this page's own clicks began. */
function ended(jobs) {
  const all = jobs.filter((job) => !RUNNING.has(job.state));
  const chosen = new Set([...all.filter(({ kind }) => ON_PROJECTS.has(kind)), ...all].slice(0, SHOWN_ENDED));
  return all.filter((job) => chosen.has(job));
}

/** What came of a job, in a word, and what it says to that. */
function outcomeOf({ kind, state: how, message, result }) {
  if (kind !== 'fit' || how !== 'done' || !result) return [how, message];
  if (result.version === null) return ['too few masks', result.reason];
  return [result.used ? 'in use' : 'not better', result.reason];
}

const nameOf = ({ kind, title }) => [KINDS[kind] ?? kind, title].filter(Boolean).join(': ');

function stopButton(job) {
  const button = element('button', { type: 'button', ariaLabel: `Stop ${nameOf(job)}` }, 'Stop');
  button.dataset.key = job.id;
  button.addEventListener('click', () => {
    button.disabled = true;
    service.cancel(job.id).catch((error) => { button.replaceWith(error.message); });
  });
  return button;
}

function showProblems(problems, home) {
  const newest = new Map();
  for (const [project, { detail, at }] of Object.entries(problems).sort(([, a], [, b]) => b.at.localeCompare(a.at))) {
    if (!newest.has(detail)) newest.set(detail, { detail, at, projects: [] });
    newest.get(detail).projects.push(project);
  }
  list(part('problems'), [...newest.values()].slice(0, SHOWN_PROBLEMS).map(({ detail, at, projects }) => element('li', {},
    element('span', { className: 'line' },
      element('strong', {}, ...whose(projects, home)),
      element('small', {}, new Date(at).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' }))),
    element('span', {}, detail))));
}

/** What went wrong without a project has an empty name. */
function whose(projects, home) {
  const numbers = projects.filter(Boolean);
  return numbers.length ? checks.named(numbers, home) : ['Without a project'];
}
