// A clip's frames: stepping, playing, scrubbing. Frames count from 1 at the frame rate of the labeling config, as
// Label Studio counts them: frame n shows the time (n - 1) / rate.

const USUAL_RATES = [23.976, 24, 25, 29.97, 30, 48, 50, 59.94, 60, 120];
const UNKNOWN_RATE = 25;
const PATIENCE = 1500; // milliseconds to find out the rate

const part = (id) => document.getElementById(id);

export class Timeline {
  /** @param {(frame: number) => void} shown is told of every frame that is on the screen
   *  @param {() => void} recounted is told when the frame rate was changed by hand */
  constructor(clip, shown, recounted) {
    this.clip = clip;
    this.shown = shown;
    this.frame = 1;
    this.frames = 1;
    this.framerate = UNKNOWN_RATE;
    this.slider = part('frame');
    part('back').addEventListener('click', () => this.step(-1));
    part('forward').addEventListener('click', () => this.step(1));
    part('play').addEventListener('click', () => (clip.paused ? this.#play() : clip.pause()));
    this.slider.addEventListener('input', () => this.seek(Number(this.slider.value)));
    part('fps').addEventListener('change', (event) => {
      if (event.target.value && event.target.checkValidity()) this.#count(Number(event.target.value));
      event.target.value = this.framerate;
      recounted();
    });
    clip.addEventListener('seeked', () => this.#arrived());
    for (const name of ['play', 'pause']) clip.addEventListener(name, () => this.#showPlaying());
  }

  /** Counts the frames of the clip that has just been loaded. */
  async open(duration) {
    this.duration = duration;
    this.#count(await framerateOf(this.clip));
    part('fps').value = this.framerate;
    this.seek(1);
  }

  step(by) {
    this.clip.pause();
    this.seek(this.frame + by);
  }

  /** The middle of a frame is asked for: at its edges two frames meet. While one is sought, the last wish counts. */
  seek(frame) {
    this.frame = Math.min(this.frames, Math.max(1, frame));
    this.#tell();
    if (!this.clip.seeking) this.clip.currentTime = this.#middle(this.frame);
  }

  /** Marks on which frames the object is: per frame 0 (not), 1 (tracked) or 2 (drawn by hand). */
  mark(states) {
    const canvas = part('presence');
    canvas.width = states.length || 1;
    canvas.height = 1;
    const context = canvas.getContext('2d');
    const style = getComputedStyle(canvas);
    const colours = [null, style.getPropertyValue('--accent'), style.getPropertyValue('--text')];
    states.forEach((state, index) => {
      if (!state) return;
      context.fillStyle = colours[state];
      context.fillRect(index, 0, 1, 1);
    });
  }

  #middle = (frame) => Math.min((frame - 0.5) / this.framerate, Math.max(0, this.duration - 1e-3));

  #count(framerate) {
    this.framerate = framerate;
    this.frames = Math.max(1, Math.round(this.duration * framerate));
    this.slider.max = this.frames;
    this.seek(Math.min(this.frame, this.frames));
  }

  #arrived() {
    const wanted = this.#middle(this.frame);
    if (this.clip.paused && Math.abs(this.clip.currentTime - wanted) > 0.25 / this.framerate) {
      this.clip.currentTime = wanted;
    } else {
      this.shown(this.frame);
    }
  }

  #play() {
    if (this.frame === this.frames) this.seek(1);
    const follow = (_now, { mediaTime }) => {
      if (this.clip.paused && !this.clip.ended) return;
      this.frame = Math.min(this.frames, Math.floor(mediaTime * this.framerate + 1e-3) + 1);
      this.#tell();
      this.shown(this.frame);
      if (!this.clip.ended) this.clip.requestVideoFrameCallback(follow);
    };
    this.clip.requestVideoFrameCallback(follow);
    this.clip.play();
  }

  #tell() {
    this.slider.value = this.frame;
    part('frame-text').textContent = `${this.frame} / ${this.frames}`;
  }

  #showPlaying() {
    const playing = !this.clip.paused;
    part('play').textContent = playing ? '❚❚' : '▶';
    part('play').setAttribute('aria-label', playing ? 'Pause' : 'Play');
  }
}

/** A browser doesn't tell the frame rate: it is seen from the times of the first frames that it plays. */
function framerateOf(clip) {
  return new Promise((resolve) => {
    const times = [];
    const finish = () => {
      clearTimeout(timer);
      clip.pause();
      const steps = times.slice(1).map((time, index) => time - times[index]).filter((step) => step > 1e-3);
      resolve(steps.length ? usual(1 / Math.min(...steps)) : UNKNOWN_RATE);
    };
    const timer = setTimeout(finish, PATIENCE);
    const look = (_now, { mediaTime }) => {
      times.push(mediaTime);
      if (times.length < 8 && !clip.ended) clip.requestVideoFrameCallback(look);
      else finish();
    };
    clip.requestVideoFrameCallback(look);
    clip.play().catch(finish);
  });
}

function usual(rate) {
  const near = USUAL_RATES.find((known) => Math.abs(known - rate) < 0.004 * known);
  return near ?? Math.round(100 * rate) / 100;
}
