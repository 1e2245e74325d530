// Requests as Label Studio sends them: a task, its labeling config, and the drawn prompts as regions in percent.

import { labelsIn } from './words.js';

const LABEL = 'Object';

const PICTURE_CONFIG = `<View>
  <Image name="image" value="$image"/>
  <BitmaskLabels name="mask" toName="image" smart="false" model_candidates="3"><Label value="${LABEL}"/></BitmaskLabels>
  <KeyPointLabels name="point" toName="image"><Label value="${LABEL}"/></KeyPointLabels>
  <RectangleLabels name="box" toName="image"><Label value="${LABEL}"/></RectangleLabels>
</View>`;

const wordsConfig = (labels) => `<View>
  <Image name="image" value="$image"/>
  <TextArea name="words" toName="image"/>
  <BitmaskLabels name="mask" toName="image" smart="false">${labels.map((label) => `<Label value="${quoted(label)}"/>`).join('')}</BitmaskLabels>
</View>`;

const clipConfig = (framerate) => `<View>
  <Labels name="label" toName="video"><Label value="${LABEL}"/></Labels>
  <Video name="video" value="$video" framerate="${framerate}"/>
  <VideoRectangle name="box" toName="video"/>
</View>`;

const MASK_TYPES = new Set(['bitmasklabels', 'bitmask']);

/**
 * @param {string} medium the picture's address
 * @param {{width: number, height: number}} size of the upright picture, in pixels
 * @param {object[]} prompts points {x, y, positive} and boxes {x, y, width, height}, as shares of the picture
 */
export function pictureRequest(task, medium, size, prompts) {
  return request({ id: task, data: { image: medium } }, PICTURE_CONFIG, prompts.map((prompt) => ({
    original_width: size.width,
    original_height: size.height,
    image_rotation: 0,
    id: prompt.id,
    to_name: 'image',
    origin: 'manual',
    ...(prompt.kind === 'point' ? keypoint(prompt) : rectangle(prompt)),
  })));
}

/** Every object of a picture that a text names, as a text field of Label Studio's sends it. */
export const wordsRequest = (task, medium, { id, text }) => request(
  { id: task, data: { image: medium } },
  wordsConfig(labelsIn(text)),
  [{ id, from_name: 'words', to_name: 'image', type: 'textarea', origin: 'manual', value: { text: [text] } }],
);

/** What Label Studio asks when a picture's task is opened: nothing yet. */
export const openedRequest = (task, medium) => request({ id: task, data: { image: medium } }, PICTURE_CONFIG, null);

/**
 * One object: what was answered for it so far, and new boxes, each with the frame it was drawn on (from 1).
 * @param {{frames: number, duration: number, framerate: number}} clip
 * @param {object | undefined} answered the region of the answer before, with its tracked keyframes
 */
export function clipRequest(task, medium, { frames, duration, framerate }, id, boxes, answered) {
  const drawn = new Map(boxes.map((box) => [box.frame, {
    frame: box.frame, enabled: true, rotation: 0, ...percent(box), time: box.frame / framerate,
  }]));
  const kept = (answered?.value.sequence ?? []).filter((keyframe) => !drawn.has(keyframe.frame));
  const sequence = [...kept, ...drawn.values()].sort((a, b) => a.frame - b.frame);
  return request({ id: task, data: { video: medium } }, clipConfig(framerate), [{
    value: { framesCount: frames, duration, sequence, labels: [LABEL] },
    ...(answered?.meta && { meta: answered.meta }),
    id,
    from_name: 'box',
    to_name: 'video',
    type: 'videorectangle',
    origin: 'manual',
  }]);
}

/** The masks of an answer: {url, score, label}. */
export const masksIn = (body) => regions(body)
  .filter((region) => MASK_TYPES.has(region.type))
  .map(({ score, value }) => ({ url: value.imageDataURL, score, label: value.bitmasklabels?.[0] ?? '' }));

/** The tracked region of an answer, if there is one. */
export const trackIn = (body) => regions(body).find((region) => region.type === 'videorectangle');

const regions = (body) => [body.results?.[0] ?? []].flat().flatMap((prediction) => prediction.result ?? []);

const request = (task, config, result) => ({
  tasks: [task],
  label_config: config,
  params: { context: result && { result } },
});

const keypoint = ({ x, y, positive }) => ({
  type: 'keypointlabels',
  from_name: 'point',
  is_positive: positive,
  value: { x: 100 * x, y: 100 * y, width: 0.3, keypointlabels: [LABEL] },
});

const rectangle = (box) => ({
  type: 'rectanglelabels',
  from_name: 'box',
  value: { ...percent(box), rotation: 0, rectanglelabels: [LABEL] },
});

const quoted = (text) => text.replace(/[&<>"]/g, (mark) => `&#${mark.charCodeAt(0)};`);

const percent = ({ x, y, width, height }) => ({
  x: 100 * x, y: 100 * y, width: 100 * width, height: 100 * height,
});
