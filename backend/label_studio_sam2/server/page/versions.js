// What projects have taught the model: each tuned version, whether it is in use, why, and its report.

import * as service from './service.js';
import { element, list } from './elements.js';

const SHOWN = 8;

/** `versions` is what GET /versions says, `base` the loaded model's version. */
export function show(versions, base) {
  const newest = [...versions.tuned ?? []].sort((a, b) => b.created.localeCompare(a.created)).slice(0, SHOWN);
  list(document.getElementById('tuned'), newest.map((one) => item(one, standing(one, versions.in_use, base))));
}

function standing({ project, number, accepted, reason, base, base_hash: hash }, inUse, loaded) {
  if (inUse[project] !== number) {
    return ['not in use', accepted ? 'It was better when it was tuned; since then another was chosen.' : reason];
  }
  const from = `${base}-${hash.slice(0, 8)}`;
  if (from !== loaded) return ['not in use', `It belongs to ${from}, and ${loaded} is loaded. Tune the project again, or set MODEL back.`];
  return ['in use', reason];
}

function item({ project, number, figures, report }, [state, why]) {
  const title = `Project ${project}, version ${number}`;
  return element('li', {},
    element('span', { className: 'line' },
      element('strong', {}, title),
      element('small', { className: state === 'in use' ? 'ok' : '' }, state)),
    element('span', { className: 'muted' }, why),
    element('span', {}, ious(figures.held_out ?? {})),
    element('a', { href: service.address(report.replace(/^\//, '')), ariaLabel: `Report of ${title.toLowerCase()}` }, 'Report'));
}

/** Held-out IoU of each kind of prompt, before and after. */
const ious = (kinds) => Object.entries(kinds)
  .map(([kind, { before, after }]) => `${kind} ${before.toFixed(3)} → ${after.toFixed(3)}`).join('; ');
