// The picture (or a clip's frame) with its masks and prompts over it, and the hand that points at it: mouse, finger
// or keys. Places are shares of the picture, from 0 to 1, whatever its size on the screen.

import { tinted } from './masks.js';

const CLICK_SLACK = 5; // CSS pixels that a click may wander before it becomes a box
const STEP = 10; // CSS pixels of an arrow key
const COLOURS = ['#ff2e93', '#12a8ff', '#ffab1a', '#25c26e', '#b368ff', '#00c2c7'];

export const colourOf = (index) => COLOURS[index % COLOURS.length];

const limited = (value) => Math.min(1, Math.max(0, value));

export class Stage {
  /** @param {{point(x, y, positive), box(box)}} hand is told what was pointed at */
  constructor(root, hand) {
    this.root = root;
    this.picture = root.querySelector('img');
    this.clip = root.querySelector('video');
    this.overlay = root.querySelector('canvas');
    this.hand = hand;
    this.tool = 'include';
    this.layers = [];
    this.prompts = [];
    this.frame = null;
    this.crosshair = null;
    this.corner = null;
    this.band = null;
    this.pressed = null;
    this.size = null;
    this.drawn = new WeakMap();
    this.waiting = false;
    this.#listen();
    new ResizeObserver(() => this.draw()).observe(this.overlay);
  }

  /** Shows a source; resolves to its upright size in pixels and, for a clip, its duration in seconds. */
  async show({ kind, url, name }) {
    this.size = null;
    this.layers = [];
    this.prompts = [];
    this.crosshair = null;
    this.giveUp();
    const isClip = kind === 'clip';
    const shown = await (isClip ? loadClip(this.clip, url) : loadPicture(this.picture, url));
    if (!isClip) this.clip.removeAttribute('src');
    this.picture.hidden = isClip;
    this.clip.hidden = !isClip;
    this.overlay.setAttribute('aria-label', `${name}: point with the arrow keys, Enter and B`);
    this.root.style.setProperty('--ratio', shown.width / shown.height);
    this.size = shown;
    this.draw();
    return shown;
  }

  setTool(tool) {
    this.tool = tool;
    this.root.dataset.tool = tool;
  }

  /** Masks to draw: {mask, colour, faint}, and prompts: points and boxes; of a clip only what is on `frame`. */
  update({ layers = this.layers, prompts = this.prompts, frame = this.frame }) {
    Object.assign(this, { layers, prompts, frame });
    this.draw();
  }

  /** Forgets a box that was begun and not ended. */
  giveUp() {
    const began = this.corner || this.band;
    this.corner = this.band = this.pressed = null;
    if (began) this.draw();
    return Boolean(began);
  }

  /** Draws with the next frame of the screen, however often it is asked for. */
  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.#paint(); });
  }

  #paint() {
    const unit = window.devicePixelRatio || 1;
    const width = Math.round(this.overlay.clientWidth * unit);
    const height = Math.round(this.overlay.clientHeight * unit);
    if (!width || !height) return;
    if (this.overlay.width !== width || this.overlay.height !== height) {
      this.overlay.width = width;
      this.overlay.height = height;
    }
    const context = this.overlay.getContext('2d');
    context.clearRect(0, 0, width, height);
    if (!this.size) return;
    for (const { mask, colour, faint } of this.layers) {
      context.globalAlpha = faint ? 0.35 : 1;
      context.drawImage(this.#tint(mask, colour, width, height, unit), 0, 0);
    }
    context.globalAlpha = 1;
    const pen = { context, width, height, unit };
    for (const prompt of this.prompts) {
      if (prompt.kind === 'box') drawBox(pen, prompt);
      if (prompt.kind === 'point') drawPoint(pen, prompt);
    }
    if (this.band) drawBox(pen, this.band);
    if (this.crosshair && document.activeElement === this.overlay) drawCrosshair(pen, this.crosshair);
  }

  #tint(mask, colour, width, height, unit) {
    const key = `${colour} ${width} ${height}`;
    let made = this.drawn.get(mask);
    if (made?.key !== key) this.drawn.set(mask, made = { key, canvas: tinted(mask, colour, width, height, unit) });
    return made.canvas;
  }

  #listen() {
    const on = (name, handle) => this.overlay.addEventListener(name, handle);
    on('pointerdown', (event) => this.#press(event));
    on('pointermove', (event) => this.#drag(event));
    on('pointerup', (event) => this.#release(event));
    on('pointercancel', () => this.giveUp());
    on('keydown', (event) => this.#key(event));
    on('focus', () => this.draw());
    on('blur', () => { this.giveUp(); this.draw(); });
  }

  #place(event) {
    const frame = this.overlay.getBoundingClientRect();
    return {
      x: limited((event.clientX - frame.left) / frame.width),
      y: limited((event.clientY - frame.top) / frame.height),
    };
  }

  #press(event) {
    if (!this.size || event.button !== 0) return;
    this.crosshair = null;
    this.clip.pause();
    this.overlay.setPointerCapture(event.pointerId);
    this.pressed = { ...this.#place(event), left: event.clientX, top: event.clientY };
  }

  #drag(event) {
    if (!this.pressed) return;
    const way = Math.hypot(event.clientX - this.pressed.left, event.clientY - this.pressed.top);
    const draws = event.pointerType !== 'touch' || this.tool === 'box';
    if (!draws || (way < CLICK_SLACK && !this.band)) return;
    this.band = between(this.pressed, this.#place(event));
    this.draw();
  }

  #release(event) {
    if (!this.pressed) return;
    const { band, pressed } = this;
    this.band = this.pressed = null;
    if (band) this.#box(band);
    else this.hand.point(pressed.x, pressed.y, this.#positive(event));
    this.draw();
  }

  #positive = (event) => this.tool !== 'exclude' && !event.altKey;

  #box(box) {
    if (box.width > 0 && box.height > 0) this.hand.box(box);
  }

  #key(event) {
    if (!this.size || event.ctrlKey || event.metaKey) return;
    const away = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (away) this.#move(away, event.shiftKey ? 1 : STEP);
    else if (event.key === 'Enter') this.#enter(event);
    else if (event.key.toLowerCase() === 'b') this.#turnCorner();
    else if (event.key === 'Escape') { if (!this.giveUp()) return; } else return;
    event.preventDefault();
  }

  #aim() {
    return (this.crosshair ??= { x: 0.5, y: 0.5 });
  }

  #move([right, down], step) {
    const from = this.#aim();
    this.crosshair = {
      x: limited(from.x + (right * step) / this.overlay.clientWidth),
      y: limited(from.y + (down * step) / this.overlay.clientHeight),
    };
    if (this.corner) this.band = between(this.corner, this.crosshair);
    this.draw();
  }

  #enter(event) {
    if (this.corner) { this.#turnCorner(); return; }
    const { x, y } = this.#aim();
    this.hand.point(x, y, this.#positive(event));
    this.draw();
  }

  /** The first press of B is one corner of a box, the second the opposite one. */
  #turnCorner() {
    const { x, y } = this.#aim();
    if (!this.corner) {
      this.corner = { x, y };
    } else {
      const box = between(this.corner, { x, y });
      this.corner = this.band = null;
      this.#box(box);
    }
    this.draw();
  }
}

function between(a, b) {
  return {
    x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), width: Math.abs(a.x - b.x), height: Math.abs(a.y - b.y),
  };
}

async function loadPicture(picture, url) {
  picture.src = url;
  await picture.decode();
  return { width: picture.naturalWidth, height: picture.naturalHeight };
}

function loadClip(clip, url) {
  return new Promise((resolve, reject) => {
    clip.onerror = () => reject(clip.error);
    clip.onloadeddata = () => resolve({ width: clip.videoWidth, height: clip.videoHeight, duration: clip.duration });
    clip.src = url;
    clip.load();
  });
}

/* Black under white keeps every line visible on every picture. */
const LINES = [['rgb(0 0 0 / .65)', 3.5], ['#ffffff', 1.5]];

function drawBox({ context, width, height, unit }, box) {
  for (const [colour, thickness] of LINES) {
    context.strokeStyle = colour;
    context.lineWidth = thickness * unit;
    context.setLineDash(colour === '#ffffff' && !box.found ? [6 * unit, 4 * unit] : []);
    context.strokeRect(box.x * width, box.y * height, box.width * width, box.height * height);
  }
  context.setLineDash([]);
}

function drawPoint({ context, width, height, unit }, { x, y, positive }) {
  const [across, down, arm] = [x * width, y * height, 3.6 * unit];
  context.beginPath();
  context.arc(across, down, 7.5 * unit, 0, 7);
  context.fillStyle = positive ? '#12805c' : '#c4342b';
  context.fill();
  context.lineWidth = 2 * unit;
  context.strokeStyle = '#ffffff';
  context.stroke();
  context.beginPath();
  context.moveTo(across - arm, down);
  context.lineTo(across + arm, down);
  if (positive) {
    context.moveTo(across, down - arm);
    context.lineTo(across, down + arm);
  }
  context.stroke();
}

function drawCrosshair({ context, width, height, unit }, { x, y }) {
  for (const [colour, thickness] of LINES) {
    context.strokeStyle = colour;
    context.lineWidth = thickness * unit;
    context.beginPath();
    for (const [near, far] of [[4, 18], [-18, -4]]) {
      context.moveTo(x * width + near * unit, y * height);
      context.lineTo(x * width + far * unit, y * height);
      context.moveTo(x * width, y * height + near * unit);
      context.lineTo(x * width, y * height + far * unit);
    }
    context.stroke();
  }
}
