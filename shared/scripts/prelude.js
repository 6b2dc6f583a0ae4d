// Evaluated in a new context before a script; `source` is its text. The value is a function: rows as JSON -> results as JSON.
//
// A row is {"n": number of the row, "v": {column: value}}. A result is {"n": ..., "r": [text or null]} or, where the
// script fails, {"n": ..., "r": null, "e": reason}. The reason is a known name and a number, and never a text of the
// script: that could be a value of the row.
//
// Everything that is used after the script has run is taken before: a script may change any object of its context.
(function (source) {
  'use strict';
  const { parse, stringify } = JSON;
  const { apply, construct, get } = Reflect;
  const RealNumber = Number;
  const { isFinite } = RealNumber;
  const exec = RegExp.prototype.exec;
  const { isWellFormed, substring } = String.prototype;
  const LineOf = /\(<input>:(\d+)/; // a frame of a function
  const KNOWN = ['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError', 'URIError', 'EvalError', 'InternalError'];
  const HEADER_LINES = 2; // what `new Function` writes before the text
  const LONGEST = 1048576; // characters: the most that a text column of Dataverse holds
  let reason = ''; // why this file has refused the current row

  // A second run must give equal values: no clock and no random numbers, and nothing that depends on the collector.
  const fail = (why) => {
    reason = why;
    throw new Error(why);
  };
  const refuse = (what) => fail(what + ' is not available');
  const RealDate = Date;
  const FixedDate = new Proxy(RealDate, {
    construct(target, values, asked) {
      return values.length ? construct(target, values, asked) : refuse('new Date()');
    },
    apply() {
      return refuse('Date()');
    },
    get(target, name, receiver) {
      return name === 'now' ? () => refuse('Date.now()') : get(target, name, receiver);
    },
  });
  RealDate.prototype.constructor = FixedDate;
  globalThis.Date = FixedDate;
  Math.random = () => refuse('Math.random()');
  for (const name of ['performance', 'WeakRef', 'FinalizationRegistry', 'SharedArrayBuffer', 'Atomics', 'queueMicrotask', 'gc']) {
    delete globalThis[name];
  }

  const calc = new Function(source + '\n;return typeof calc === "function" ? calc : undefined')();
  if (calc === undefined) {
    throw new SyntaxError('the script has no function calc(currentRecord)');
  }

  const reasonOf = (error) => {
    if (reason) return reason;
    let name = 'Error';
    let line = 0;
    try {
      for (let at = 0; at < KNOWN.length; at++) {
        if (error.name === KNOWN[at]) name = KNOWN[at];
      }
      const found = apply(exec, LineOf, [error.stack]);
      line = found === null ? 0 : +found[1] - HEADER_LINES;
    } catch (_) {
      // It is not an error object.
    }
    return line > 0 ? name + ' in line ' + line : name;
  };

  const whole = (text) =>
    apply(isWellFormed, text, []) ? text : fail('the result has half of a surrogate pair, which is not a character');

  // JSON.stringify leaves out some values and writes null for others, without an error: an object is held to the rules
  // of a result that is one value. It calls this for the object and for all that is in it, with what toJSON made of it.
  const checked = function (name, value) {
    whole(name);
    switch (typeof value) {
      case 'string':
        return whole(value); // in a document it would be written as an escape
      case 'number':
        return isFinite(value) ? value : fail('the result has a number that is not finite');
      case 'bigint':
        return fail('the result is an object with a BigInt, which JSON does not have');
      case 'function':
      case 'symbol':
        return fail('the result is an object with a ' + typeof value);
      case 'object':
        if (value === null) {
          return this[name] instanceof RealDate ? fail('the result has a date that is not valid') : value;
        }
        if (typeof value.then === 'function') fail('the result is a promise: calc cannot be async');
        if (value instanceof RealNumber && !isFinite(+value)) fail('the result has a number that is not finite');
    }
    return value;
  };

  const textOf = (value) => {
    switch (typeof value) {
      case 'string':
        return value;
      case 'boolean':
      case 'bigint':
        return '' + value;
      case 'number':
        return isFinite(value) ? '' + value : fail('the result is not a finite number');
      case 'object': {
        const text = stringify(value, checked);
        if (text === undefined || text === 'null') return null; // what its toJSON gives
        return text[0] === '"' ? parse(text) : text; // a date gives a text, anything else a document
      }
      default:
        return fail('the result is a ' + typeof value);
    }
  };

  const listed = (value) => {
    if (value === null || value === undefined) return '[null]';
    const text = textOf(value);
    if (text === null) return '[null]';
    if (text.length > LONGEST) fail('the result is longer than 1,048,576 characters');
    return '[' + stringify(whole(text)) + ']';
  };

  return (json) => {
    const rows = parse(json);
    const count = rows.length;
    let results = '[';
    for (let at = 0; at < count; at++) {
      const { n, v } = rows[at];
      let result;
      reason = '';
      try {
        result = '"r":' + listed(calc(v));
      } catch (error) {
        result = '"r":null,"e":"' + reasonOf(error) + '"';
      }
      results += (at ? ',{"n":' : '{"n":') + n + ',' + result + '}';
    }
    // A text that is put together is a rope, which only the engine itself can read.
    return apply(substring, results + '] ', [0, results.length + 1]);
  };
})
