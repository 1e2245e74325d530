// Numbers and names as people read them.

const TIMES = {
  'round trip': 'Round trip',
  fetch: 'Fetching the media',
  load: 'Reading the picture',
  index: 'Reading the clip',
  encode: 'Encoding the picture',
  embedding: 'Getting the embedding',
  look: 'Looking for words',
  ask: 'Asking in words',
  decode: 'Decoding the mask',
  upsample: 'Enlarging the mask',
  track: 'Tracking',
  regions: 'Writing the regions',
  total: 'In the service',
};

export const score = (value) => (typeof value === 'number' ? value.toFixed(2) : 'not given');

/** A share from 0 to 1. */
export const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)}%`;

export const plural = (count, noun) => `${count} ${noun}${count === 1 ? '' : 's'}`;

export const stage = (name) => TIMES[name] ?? name.replaceAll('_', ' ');

export function duration(milliseconds) {
  if (milliseconds >= 1999.5) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds.toFixed(milliseconds < 9.95 ? 1 : 0)} ms`;
}
