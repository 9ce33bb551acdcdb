import type { Thread } from '../types.ts';
import type { IndexStore } from './index-store.ts';

/** THREAD (RFC 5256 §4). Mails without a Date are taken by their arrival. */
interface Mail {
  readonly uid: number;
  readonly id: string;
  readonly references: readonly string[];
  readonly subject: string;
  readonly reply: boolean;
  readonly at: number;
}

export function threadIndex(
  store: IndexStore,
  folder: number,
  wanted: Uint32Array,
  algorithm: 'REFERENCES' | 'ORDEREDSUBJECT',
): Thread[] {
  const set = new Set(wanted);
  const rows = store.prepare(
    `SELECT m.uid, c.message_id, c.refs, c.subject, c.reply, coalesce(c.sent, m.date) AS at
      FROM messages m JOIN contents c ON c.id = m.content WHERE m.folder = ? ORDER BY at, m.uid`,
  );
  const mails: Mail[] = [];
  for (const row of rows.iterate(folder)) {
    if (!set.has(Number(row.uid))) continue;
    mails.push({
      uid: Number(row.uid),
      id: String(row.message_id),
      references: row.refs === '' ? [] : String(row.refs).split('\n'),
      subject: String(row.subject),
      reply: row.reply === 1,
      at: Number(row.at),
    });
  }
  return algorithm === 'REFERENCES' ? byReferences(mails) : byOrderedSubject(mails);
}

/** RFC 5256 §3, ORDEREDSUBJECT: the first mail of a subject, and all others below it. */
export function byOrderedSubject(mails: readonly Mail[]): Thread[] {
  const threads = new Map<string, { uid: number; children: Thread[] }>();
  for (const { uid, subject } of mails) {
    const thread = threads.get(subject);
    if (thread) thread.children.push({ uid, children: [] });
    else threads.set(subject, { uid, children: [] });
  }
  return [...threads.values()];
}

interface Node {
  mail: Mail | undefined;
  parent: Node | undefined;
  readonly children: Set<Node>;
}

/** `mails` by sent date. */
export function byReferences(mails: readonly Mail[]): Thread[] {
  const roots = pruned(shallow([...linked(mails)].filter((node) => !node.parent)));
  return gathered(sorted(roots)).map(toThread);
}

/** Steps 1 and 2 of §3: the tree that the references make. A link that would close a circle is not made. */
function linked(mails: readonly Mail[]): Set<Node> {
  const byId = new Map<string, Node>();
  const nodes = new Set<Node>();
  const node = (id: string): Node => {
    let found = byId.get(id);
    if (!found) {
      found = { mail: undefined, parent: undefined, children: new Set() };
      byId.set(id, found);
      nodes.add(found);
    }
    return found;
  };
  for (const mail of mails) {
    // A mail without an id, or with another's, gets one of its own.
    const free = mail.id !== '' && !byId.get(mail.id)?.mail;
    const me = node(free ? mail.id : `uid ${mail.uid}`);
    me.mail = mail;
    let parent: Node | undefined;
    for (const id of mail.references) {
      const next = node(id);
      if (parent && !next.parent) adopt(parent, next);
      parent = next;
    }
    if (me.parent) {
      me.parent.children.delete(me);
      me.parent = undefined;
    }
    if (parent) adopt(parent, me);
  }
  return nodes;
}

function adopt(parent: Node, child: Node): void {
  let levels = 0;
  for (let up: Node | undefined = parent; up; up = up.parent) if (up === child || ++levels > DEPTH_MAX) return;
  child.parent = parent;
  parent.children.add(child);
}

/** Whoever writes the references says how deep they go: what is below DEPTH_MAX begins a thread. */
function shallow(roots: Node[]): Node[] {
  const all = [...roots];
  let level = roots;
  for (let depth = 1; level.length > 0; depth++) {
    const below = level.flatMap((node) => [...node.children]);
    if (depth < DEPTH_MAX) {
      level = below;
      continue;
    }
    for (const node of below) {
      node.parent?.children.delete(node);
      node.parent = undefined;
    }
    all.push(...below);
    level = below;
    depth = 0;
  }
  return all;
}

const DEPTH_MAX = 200;

/** Step 3: nodes without mail go; their children take their place, but below the root only if it is one. */
function pruned(roots: readonly Node[]): Node[] {
  const prune = (node: Node, isRoot: boolean): Node[] => {
    const children = [...node.children].flatMap((child) => prune(child, false));
    node.children.clear();
    for (const child of children) {
      child.parent = node;
      node.children.add(child);
    }
    if (node.mail) return [node];
    return isRoot && children.length > 1 ? [node] : children;
  };
  return roots.flatMap((root) => prune(root, true));
}

/** Step 4 and 6: by sent date; a node without mail by its first child. */
function sorted(nodes: readonly Node[]): Node[] {
  for (const node of nodes) {
    const children = sorted([...node.children]);
    node.children.clear();
    for (const child of children) node.children.add(child);
  }
  return [...nodes].sort((a, b) => at(a) - at(b) || uidOf(a) - uidOf(b));
}

/** Step 5: roots of one subject come together. */
function gathered(roots: readonly Node[]): Node[] {
  const bySubject = new Map<string, Node>();
  for (const root of roots) {
    const subject = firstMail(root)?.subject ?? '';
    if (subject === '') continue;
    const there = bySubject.get(subject);
    if (!there || (there.mail && !root.mail) || (firstMail(there)?.reply && !firstMail(root)?.reply && there.mail))
      bySubject.set(subject, root);
  }
  const firsts: Node[] = [];
  const replaced = new Map<Node, Node>();
  for (const root of roots) {
    const subject = firstMail(root)?.subject ?? '';
    const first = subject === '' ? undefined : bySubject.get(subject);
    if (!first || first === root) {
      firsts.push(root);
      continue;
    }
    const target = replaced.get(first) ?? first;
    if (!target.mail) {
      for (const child of root.mail ? [root] : root.children) target.children.add(child);
    } else if (firstMail(root)?.reply && !firstMail(first)?.reply) target.children.add(root);
    else replaced.set(first, { mail: undefined, parent: undefined, children: new Set([target, root]) });
  }
  return sorted(firsts.map((root) => replaced.get(root) ?? root));
}

function toThread(node: Node): Thread {
  return { uid: node.mail?.uid, children: [...node.children].map(toThread) };
}

function firstMail(node: Node): Mail | undefined {
  return node.mail ?? [...node.children][0]?.mail;
}

function at(node: Node): number {
  return firstMail(node)?.at ?? 0;
}

function uidOf(node: Node): number {
  return firstMail(node)?.uid ?? 0;
}
