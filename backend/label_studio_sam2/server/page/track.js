// An object followed through a clip: where it is on every frame, as the keyframes of an answer say.

export class Track {
  /** @param {object} region a videorectangle region, kept as it came: it goes along with the next request */
  constructor(region) {
    this.region = region;
    this.keyframes = [...region.value.sequence].sort((a, b) => a.frame - b.frame);
    this.byFrame = new Map(this.keyframes.map((keyframe) => [keyframe.frame, keyframe]));
    this.until = region.meta?.tracked?.[1] ?? this.keyframes.at(-1)?.frame ?? 0;
    this.notes = [region.meta?.text ?? []].flat();
  }

  /**
   * The keyframe of a frame, with its mask under `rle` where it has one; null where the object isn't visible.
   * As in the editor: a keyframe that is not enabled is the last visible one, and between two boxes move evenly.
   */
  at(frame) {
    const exact = this.byFrame.get(frame);
    if (exact) return exact;
    const after = this.keyframes.findIndex((keyframe) => keyframe.frame > frame);
    const [left, right] = [this.keyframes[after - 1], this.keyframes[after]];
    if (after < 1 || left.enabled === false) return null;
    const share = (frame - left.frame) / (right.frame - left.frame);
    const between = (name) => left[name] + share * (right[name] - left[name]);
    return { frame, x: between('x'), y: between('y'), width: between('width'), height: between('height') };
  }
}
