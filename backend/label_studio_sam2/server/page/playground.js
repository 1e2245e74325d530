// Where a person tries the model: prompts go to the public /predict as Label Studio sends them, masks come back.

import { Command } from './command.js';
import { element, facts } from './elements.js';
import * as masks from './masks.js';
import { clipRequest, masksIn, openedRequest, pictureRequest, trackIn, wordsRequest } from './request.js';
import * as service from './service.js';
import { SourceError } from './source.js';
import { Stage, colourOf } from './stage.js';
import { Timeline } from './timeline.js';
import { Track } from './track.js';
import { duration, percent, plural, score, stage } from './wording.js';
import { labelsIn, missing } from './words.js';

const HINTS = {
  picture: 'Click on an object, drag a box around it, or write what to find.',
  clip: 'Drag a box around an object: it is followed through the clip.',
};

const part = (id) => document.getElementById(id);
const fresh = () => crypto.getRandomValues(new Uint32Array(1))[0];

export class Playground {
  #source = null;
  #size = null;
  #task = '';
  #region = '';
  #prompts = [];
  #found = [];
  #chosen = 0;
  #track = null;
  #asking = new AbortController();
  #opening = 0;

  constructor() {
    this.command = new Command(() => this.#say('Copied.'));
    this.stage = new Stage(part('stage'), {
      point: (x, y, positive) => this.#point(x, y, positive),
      box: (box) => this.#box(box),
    });
    this.timeline = new Timeline(this.stage.clip, () => this.#showFrame(), () => this.clear());
    part('undo').addEventListener('click', () => this.undo());
    part('clear').addEventListener('click', () => this.clear());
    part('track-on').addEventListener('click', () => this.#ask());
    part('words-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#words(part('words').value);
    });
    part('tools').addEventListener('change', (event) => this.stage.setTool(event.target.value));
    document.addEventListener('keydown', (event) => this.#shortcut(event));
  }

  /** Shows what `load` brings; whatever was opened before is given up. */
  async open(load) {
    const turn = this.#opening += 1;
    this.#give(null);
    this.#veil('Loading…');
    try {
      const source = await load();
      if (turn !== this.#opening) return;
      this.#give(source);
      this.#size = await this.stage.show(source).catch(() => { throw new SourceError(unshowable(source)); });
      if (source.kind === 'clip') await this.timeline.open(this.#size.duration);
      if (turn !== this.#opening) return;
      if (source.kind === 'picture') this.#announce();
      this.#veil(null);
      this.#say(HINTS[source.kind]);
    } catch (error) {
      if (turn !== this.#opening) return;
      this.#veil('Nothing to show.');
      this.#complain(error);
    }
  }

  undo() {
    if (this.stage.giveUp() || !this.#prompts.length) return;
    this.#prompts.pop();
    this.#track = null;
    this.#ask();
  }

  clear() {
    this.#prompts = [];
    this.#ask();
  }

  #give(source) {
    this.#source?.release();
    this.#source = source;
    this.#size = null;
    this.#task = `playground-${fresh().toString(36)}`; // no number: it is no task of Label Studio's
    this.#region = `r${fresh().toString(36)}`;
    this.clear();
    part('source-name').textContent = source?.name ?? '';
    const isClip = source?.kind === 'clip';
    part('timeline').hidden = !isClip;
    part('words-form').hidden = isClip;
    for (const input of part('tools').querySelectorAll('input')) {
      input.disabled = isClip && input.value !== 'box';
      input.checked = input.value === (isClip ? 'box' : 'include');
    }
    this.stage.setTool(isClip ? 'box' : 'include');
  }

  #point(x, y, positive) {
    if (this.#source.kind === 'clip') {
      this.#say(HINTS.clip);
      return;
    }
    this.#pointOut({ kind: 'point', x, y, positive, id: `p${fresh().toString(36)}` });
  }

  /* Words ask for objects of their own: they take the place of what was pointed at, and the other way round. */

  #words(text) {
    if (!this.#size) return;
    if (!labelsIn(text).length) {
      this.#say('Write what to find, for instance: red star, blue ring');
      return;
    }
    this.#prompts = [{ kind: 'words', text, id: `w${fresh().toString(36)}` }];
    this.#ask();
  }

  #pointOut(prompt) {
    this.#prompts = [...this.#prompts.filter((other) => other.kind !== 'words'), prompt];
    this.#ask();
  }

  #box(box) {
    if (this.#source.kind === 'clip') {
      const { frame } = this.timeline;
      this.#prompts = this.#prompts.filter((other) => other.frame !== frame);
      this.#pointOut({ kind: 'box', ...box, frame });
    } else {
      this.#pointOut({ kind: 'box', ...box, id: `b${fresh().toString(36)}` });
    }
  }

  /** The words that are asked for; none where something is pointed at. */
  get #asked() {
    return this.#prompts.find((prompt) => prompt.kind === 'words');
  }

  /** What is asked now, for whatever stands for the medium. A box that was answered is in the track already. */
  #compose() {
    const [task, region, size] = [this.#task, this.#region, this.#size];
    const { frames, duration: seconds, framerate } = this.timeline;
    const clip = { frames, duration: seconds, framerate };
    const answered = this.#track?.region;
    const prompts = this.#prompts.filter((prompt) => !answered || !prompt.answered);
    const words = this.#asked;
    if (words) return (medium) => wordsRequest(task, medium, words);
    return this.#source.kind === 'clip'
      ? (medium) => clipRequest(task, medium, clip, region, prompts, answered)
      : (medium) => pictureRequest(task, medium, size, prompts);
  }

  /** One request with all prompts; a newer one takes the place of what is still on its way. */
  async #ask() {
    this.#asking.abort();
    const asking = this.#asking = new AbortController();
    const { signal } = asking;
    const some = this.#prompts.length > 0;
    for (const id of ['undo', 'clear']) part(id).disabled = !some;
    this.#complain(null);
    this.#showPrompts();
    if (!some) {
      this.command.show(null);
      this.#busy(false);
      this.#showNothing(this.#source ? HINTS[this.#source.kind] : '');
      return;
    }
    const request = this.#compose();
    this.command.show(request, this.#source.shell);
    this.#busy(true);
    this.#say('Asking the model…');
    try {
      const medium = await this.#source.medium();
      const { body, times } = await service.predict(request(medium), { signal, onWait: (why) => this.#wait(why) });
      const found = await Promise.all(masksIn(body).map(async ({ url, score: its, label }) => (
        { mask: await masks.fromPng(url), score: its, label })));
      if (signal.aborted) return;
      this.#complain(null);
      if (this.#source.kind === 'clip') this.#showTrack(trackIn(body));
      else this.#showMasks(found);
      facts(part('times'), times.map(([name, spent]) => [stage(name), duration(spent)]));
    } catch (error) {
      if (signal.aborted) return;
      this.#showNothing('');
      this.#complain(error);
    }
    this.#busy(false);
  }

  /** As Label Studio does when a task is opened: the service then encodes the picture before the first click. */
  async #announce() {
    try {
      const request = openedRequest(this.#task, await this.#source.medium());
      await service.predict(request, { signal: this.#asking.signal, onWait() {} });
    } catch { /* whatever is wrong is said with the first click */ }
  }

  #showPrompts() {
    const isClip = this.#source?.kind === 'clip';
    const { frame } = this.timeline;
    const drawn = isClip ? this.#prompts.filter((box) => box.frame === frame) : this.#prompts;
    const keyframe = isClip ? this.#track?.at(frame) : null;
    const found = keyframe && !drawn.length && !keyframe.rle ? [boxOf(keyframe)] : [];
    this.stage.update({ prompts: [...drawn, ...found] });
  }

  #showNothing(sentence) {
    this.#found = [];
    this.#track = null;
    this.timeline.mark([]);
    part('results').hidden = true;
    part('track-on').hidden = true;
    this.stage.update({ layers: [] });
    this.#showPrompts();
    this.#say(sentence);
  }

  /* Several boxes are several objects, all shown; several masks for one prompt are candidates, one shown. */

  #showMasks(found) {
    if (!found.length) {
      this.#showNothing(this.#asked
        ? `Nothing on the picture is found by "${this.#asked.text.trim()}". Try other words, or click on it.`
        : 'The model found nothing there. Try another place, or a box.');
      return;
    }
    this.#found = found.map((one) => ({ ...one, covers: masks.coverage(one.mask) }));
    this.#chosen = 0;
    part('results').hidden = false;
    this.#listMasks();
    if (this.#asked) this.#say(inWords(found, labelsIn(this.#asked.text)));
    else this.#say(this.#exclusive || found.length === 1
      ? `${this.#exclusive ? `${found.length} candidates; the first has` : 'Mask with'} `
        + `score ${score(found[0].score)}, ${percent(this.#found[0].covers)} of the picture.`
      : `${found.length} masks, with scores ${found.map((one) => score(one.score)).join(', ')}.`);
  }

  get #exclusive() {
    return !this.#asked && this.#found.length > 1 && this.#prompts.filter((prompt) => prompt.kind === 'box').length < 2;
  }

  #listMasks() {
    part('masks-title').textContent = this.#exclusive ? 'Candidates' : plural(this.#found.length, 'mask');
    part('masks').replaceChildren(...this.#found.map((one, index) => {
      const swatch = element('i', { className: 'swatch' });
      swatch.style.background = colourOf(index);
      const name = this.#asked ? `${one.label}: ` : '';
      const words = `${name}score ${score(one.score)}, ${percent(one.covers)}`;
      if (!this.#exclusive) return element('li', {}, element('span', {}, swatch, words));
      const button = element('button', { type: 'button', ariaPressed: String(index === this.#chosen) }, swatch, words);
      button.addEventListener('click', () => {
        this.#chosen = index;
        this.#listMasks();
        part('masks').querySelectorAll('button')[index].focus();
        this.#say(`Candidate ${index + 1}, ${words} of the picture.`);
      });
      return element('li', {}, button);
    }));
    const shown = this.#found.map((one, index) => ({ mask: one.mask, colour: colourOf(index) }));
    this.stage.update({ layers: this.#exclusive ? [shown[this.#chosen]] : shown });
  }

  #showTrack(region) {
    const track = region && new Track(region);
    if (!track?.until) {
      this.#showNothing('The answer holds no track.');
      return;
    }
    this.#track = track;
    for (const box of this.#prompts) box.answered = true;
    const drawn = new Set(this.#prompts.map((box) => box.frame));
    const states = Array.from({ length: this.timeline.frames }, (_, index) => {
      return track.at(index + 1) && (drawn.has(index + 1) ? 2 : 1);
    });
    this.timeline.mark(states);
    part('track-on').hidden = track.until >= this.timeline.frames || !track.notes.length;
    part('results').hidden = false;
    part('masks-title').textContent = 'Track';
    this.#say([`Tracked up to frame ${track.until}; the object is visible on `
      + `${plural(states.filter(Boolean).length, 'frame')}.`, ...track.notes].join(' '));
    this.#showFrame();
  }

  #showFrame() {
    const keyframe = this.#track?.at(this.timeline.frame);
    const layers = keyframe?.rle ? [{ mask: masks.fromRle(keyframe.rle), colour: colourOf(0) }] : [];
    this.stage.update({ layers });
    this.#showPrompts();
    if (!this.#track) return;
    const words = keyframe ? `visible${typeof keyframe.score === 'number' ? `, score ${score(keyframe.score)}` : ''}`
      : 'not visible';
    part('masks').replaceChildren(element('li', {}, element('span', {}, `frame ${this.timeline.frame}: ${words}`)));
    this.timeline.slider.setAttribute('aria-valuetext',
      `${this.timeline.frame} of ${this.timeline.frames}, object ${words}`);
  }

  #shortcut(event) {
    const field = event.target.closest('input:not([type="radio"], [type="range"]), textarea');
    if (field || !this.#source) return;
    const undoes = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === 'z';
    const step = { ',': -1, '.': 1 }[event.key];
    if (undoes) this.undo();
    else if (step && this.#source.kind === 'clip') this.timeline.step(step);
    else return;
    event.preventDefault();
  }

  #wait(why) {
    const box = part('message');
    box.classList.add('waiting');
    box.hidden = false;
    box.textContent = `${why} Your prompt is sent again by itself.`;
  }

  #complain(error) {
    const box = part('message');
    box.classList.remove('waiting');
    box.hidden = !error;
    box.textContent = error ? sentence(error) : '';
  }

  #say(text) {
    part('answer').textContent = text;
  }

  #busy(is) {
    part('busy').hidden = !is;
    part('stage').setAttribute('aria-busy', String(is));
    document.dispatchEvent(new Event('asking'));
  }

  #veil(text) {
    part('veil').hidden = text === null;
    part('veil').textContent = text ?? '';
  }
}

/** What words found, the best rated first, and what they didn't. */
function inWords(found, labels) {
  const named = found.map((one) => `${one.label} ${score(one.score)}`).join(', ');
  const absent = missing(labels, found);
  return `${plural(found.length, 'object')}: ${named}.${absent.length ? ` Not found: ${absent.join(', ')}.` : ''}`;
}

const boxOf = (keyframe) => ({
  kind: 'box', found: true, x: keyframe.x / 100, y: keyframe.y / 100, width: keyframe.width / 100,
  height: keyframe.height / 100,
});

const unshowable = ({ name, kind, shell }) => (shell.address
  ? `The browser cannot show ${name}. Open the address in a tab of its own to see whether it is a ${kind}.`
  : `The browser cannot show ${name}: it is no ${kind}, or of a kind that this browser does not know.`);

const sentence = (error) => (error instanceof service.ServiceError || error instanceof SourceError
  ? error.message : `Something went wrong in this page (${error.message}).`);
