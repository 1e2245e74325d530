// What is typed into the field of words: phrases, and the labels of what they find. The service reads the text alike
// (labelstudio/regions/words.py): commas, semicolons and line breaks are between phrases, and `Label: words` says the
// label of its words and of those that follow on the line.

const BETWEEN = /[,;，、；]/;

/** The labels that a text asks for, each once: a phrase is its own, unless one is said before it. */
export function labelsIn(text) {
  const found = new Map();
  for (const line of text.split(/[\r\n]/)) {
    let said = '';
    for (const part of line.split(BETWEEN)) {
      const at = part.indexOf(':');
      if (at >= 0 && part.slice(0, at).trim()) said = part.slice(0, at).trim();
      const label = said || part.slice(at + 1).trim().replace(/\s+/g, ' ');
      if (label && !found.has(label.toLowerCase())) found.set(label.toLowerCase(), label);
    }
  }
  return [...found.values()];
}

/** Of labels those that no mask has. */
export const missing = (labels, masks) => labels.filter((label) => !masks.some((mask) => mask.label === label));
