/** Tasks one after the other, in the order they came: what happened to a cache, as it happened. */

export interface Timeline {
  /** Runs the task now when nothing is before it, else when its turn comes. False = full, it will not run. */
  push(task: () => void | Promise<void>): boolean;
  readonly waiting: number;
  close(): void;
}

/** A task that throws is reported and passed over. */
export function createTimeline(options: {
  readonly maxWaiting: number;
  readonly onDefect: (error: unknown) => void;
}): Timeline {
  const { maxWaiting, onDefect } = options;
  let queue: (() => void | Promise<void>)[] = [];
  let next = 0;
  let busy = false;
  let closed = false;
  const drain = (): void => {
    while (!busy && next < queue.length) {
      const task = queue[next];
      next += 1;
      if (task !== undefined) run(task);
    }
    if (next === queue.length) {
      queue = [];
      next = 0;
    }
  };
  const run = (task: () => void | Promise<void>): void => {
    busy = true;
    const done = (): void => {
      busy = false;
    };
    try {
      const result = task();
      if (result === undefined) return done();
      void result.catch(onDefect).then(() => {
        done();
        drain();
      });
    } catch (error) {
      done();
      onDefect(error);
    }
  };
  return {
    push(task) {
      if (closed || queue.length - next >= maxWaiting) return false;
      queue.push(task);
      drain();
      return true;
    },
    get waiting() {
      return queue.length - next;
    },
    close() {
      closed = true;
      queue = [];
      next = 0;
    },
  };
}
