// /openapi.json for people: every route with what it takes, answers and refuses, and a curl call.

import { element } from './elements.js';

const METHODS = ['get', 'post', 'delete'];
const DEPTH = 5;
const here = new URL('.', document.baseURI).href.replace(/\/$/, '');

const answer = await fetch('openapi.json');
const api = await answer.json();
document.getElementById('about').textContent = api.info.description;
const operations = Object.entries(api.paths).flatMap(([path, methods]) => METHODS
  .filter((method) => method in methods).map((method) => ({ path, method, ...methods[method] })));
document.getElementById('index').replaceChildren(...operations.map((one) => element('li', {},
  element('a', { href: `#${one.operationId}` }, title(one)))));
document.getElementById('routes').replaceChildren(...operations.map(section));

function title({ method, path }) {
  return `${method.toUpperCase()} ${path}`;
}

function section(one) {
  const body = one.requestBody?.content['application/json'];
  const parts = [element('h2', {}, title(one)), element('p', {}, one.summary + '.')];
  if (body) parts.push(element('h3', {}, 'Takes'), fields(body.schema));
  parts.push(element('pre', { tabIndex: 0 }, curl(one, body?.example)), element('h3', {}, 'Answers'));
  parts.push(element('dl', {}, ...Object.entries(one.responses).flatMap(reply)));
  return element('section', { id: one.operationId }, ...parts);
}

/** A list of an object's fields, those of the objects in it below them. */
function fields(schema, depth = 0) {
  const properties = Object.entries(resolved(schema).properties ?? {});
  return element('ul', { className: 'fields' }, ...properties.map(([name, field]) => {
    const inner = objectIn(field);
    const line = element('li', {}, element('code', {}, name), ` ${kind(field)}`);
    if (field.description) line.append(`: ${field.description}`);
    if (inner && depth < DEPTH) line.append(fields(inner, depth + 1));
    return line;
  }));
}

function resolved(schema) {
  return schema.$ref ? api.components.schemas[schema.$ref.split('/').at(-1)] : schema;
}

/** The schema of the objects that a field holds, by itself, in a list, or as one of several kinds. */
function objectIn(field) {
  const full = resolved(field);
  if (full.properties) return full;
  const inner = [...(full.anyOf ?? []), ...(full.items ? [full.items] : [])];
  return inner.map(objectIn).find(Boolean) ?? null;
}

function kind(field) {
  const full = resolved(field);
  if (full.anyOf) return full.anyOf.map(kind).join(' or ');
  if (full.enum || full.const !== undefined) return (full.enum ?? [full.const]).map((value) => JSON.stringify(value)).join(' or ');
  if (full.type === 'array') return `list of ${kind(full.items ?? {})}`;
  return full.type ?? 'anything';
}

function reply([status, { description, content = {} }]) {
  const [[type, { schema, example }]] = Object.entries(content);
  const said = element('dd', {}, type === 'application/json' ? description : `${description}: ${type}`);
  if (status < 300 && type === 'application/json') {
    said.append(fields(schema));
    if (example) said.append(element('details', {}, element('summary', {}, 'Example'),
      element('pre', { tabIndex: 0 }, JSON.stringify(example, null, 1))));
  }
  return [element('dt', {}, status), said];
}

function curl({ method, path }, example) {
  const asked = path.replace(/{(\w+)}/g, (_, name) => name.toUpperCase());
  const how = method === 'get' ? '' : ` -X ${method.toUpperCase()}`;
  const sent = example ? ` -H 'Content-Type: application/json' -d @- <<'END'\n${JSON.stringify(example, null, 1)}\nEND` : '';
  return `curl -s${sent ? '' : how} '${here}${asked}'${sent}`;
}
