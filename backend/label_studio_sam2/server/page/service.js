// The service's own routes, as any client may call them. Addresses are relative to the page, so that a path in
// front of the service is kept.

const at = (route) => new URL(route, document.baseURI);

/** Something the service refused, or its silence; the message is a sentence for the person at the screen. */
export class ServiceError extends Error {
  constructor(message, kind) {
    super(message);
    this.kind = kind;
  }
}

const SILENT = 'The service does not answer. See whether it is running and whether this page still reaches it.';

export const address = (route) => at(route).href;

/** What GET / tells a program. */
export const status = () => json('', { headers: { accept: 'application/json' }, cache: 'no-store' });

/** The model's versions, and what the tuned ones come from. */
export const versions = () => json('versions', { cache: 'no-store' });

/** Begins the checks anew, unless they are being made: what was found last. */
export const look = () => json('checks', { method: 'POST' });

/** Ends a job. */
export async function cancel(job) {
  const response = await send(at(`jobs/${encodeURIComponent(job)}`), { method: 'DELETE' });
  if (!response.ok) throw await refusal(response);
}

/** A file that the service serves, as a Blob. */
export async function file(route) {
  const response = await send(at(route), {});
  if (!response.ok) throw await refusal(response);
  return response.blob();
}

/** Whether a program has to send a user and a password, which the browser does for this page by itself. */
export async function wantsPassword() {
  const response = await send(at('versions'), { credentials: 'omit', cache: 'no-store' });
  return response.status === 401;
}

/**
 * POST /predict. Where the service asks to come back later (503 with Retry-After: the model is loading, or too
 * much is waiting), `onWait` is told why and the same request is sent again.
 * @returns {{body: object, times: [string, number][]}} times in milliseconds, the round trip first
 */
export async function predict(request, { signal, onWait }) {
  const body = JSON.stringify(request);
  for (;;) {
    const started = performance.now();
    const response = await send(at('predict'), {
      method: 'POST', headers: { 'content-type': 'application/json' }, body, signal,
    });
    if (response.ok) {
      const answer = await response.json();
      return { body: answer, times: [['round trip', performance.now() - started], ...serverTimes(response)] };
    }
    const problem = await refusal(response);
    const later = response.headers.get('retry-after');
    if (response.status !== 503 || later === null) throw problem;
    onWait(problem.message);
    await pause(1000 * Math.min(Number(later) || 1, 10), signal);
  }
}

async function json(route, options) {
  const response = await send(at(route), options);
  if (!response.ok) throw await refusal(response);
  return response.json();
}

async function send(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    throw error.name === 'AbortError' ? error : new ServiceError(SILENT, 'Silent');
  }
}

async function refusal(response) {
  const body = await response.json().catch(() => ({}));
  const said = typeof body.detail === 'string' ? body.detail : '';
  return new ServiceError(said || `The service answered with status ${response.status} and no reason.`, body.error);
}

/** RFC: Server-Timing, `encode;dur=41.2, decode;dur=8` */
function serverTimes(response) {
  return (response.headers.get('server-timing') ?? '').split(',').flatMap((entry) => {
    const [name, ...parameters] = entry.trim().split(';').map((part) => part.trim());
    const duration = parameters.find((parameter) => parameter.startsWith('dur='));
    return name && duration ? [[name, Number(duration.slice(4))]] : [];
  });
}

const pause = (milliseconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, milliseconds);
  signal.addEventListener('abort', () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
});
