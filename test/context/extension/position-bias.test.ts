/** ALiBi's slopes and xPos's scales. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { near, nearAll } from './near.ts';
import { alibiSlopes, xposScale, xposZeta } from '../../../src/context/extension/position-bias.ts';

test('ALiBi slopes', () => {
  const eight = [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625];
  nearAll([...alibiSlopes(8)], eight);
  nearAll([...alibiSlopes(12)], [...eight, 0.707106781, 0.353553391, 0.176776695, 0.0883883476]);
  nearAll([...alibiSlopes(4)], [0.25, 0.0625, 0.015625, 0.00390625]);
  nearAll(Array.from(alibiSlopes(16).slice(0, 4)), [0.7071067812, 0.5, 0.3535533906, 0.25]);
  assert.equal(alibiSlopes(40).length, 40);
  near(alibiSlopes(40)[39] ?? NaN, 0.2726269332);
  near(alibiSlopes(112)[111] ?? NaN, 0.01631677785);
});

test('xPos scales', () => {
  nearAll([...xposZeta(8)], [0.285714286, 0.464285714, 0.642857143, 0.821428571]);
  nearAll([...xposScale(8, 1)], [0.99755619, 0.99850258, 0.99913742, 0.99961587]);
  nearAll([...xposScale(8, 256)], [0.53452248, 0.68138514, 0.80178373, 0.90632697]);
  nearAll([...xposScale(8, -512)], [3.5, 2.15384615, 1.55555556, 1.2173913]);
  const decay = xposScale(64, 2048);
  nearAll(
    [decay[0], decay[8], decay[16], decay[31]],
    [0.00666389, 0.04646664, 0.17078821, 0.91365952],
    1e-5,
  );
});
