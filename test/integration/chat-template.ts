/** The tiny model's folder with a chat template that writes tools, as real models have. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Fixture {
  readonly templates: Readonly<Record<string, string>>;
}

export interface TemplatedModel {
  readonly folder: string;
  readonly templateFile: string;
  remove(): void;
}

/** @param model Hugging Face folder that is copied */
export function withTools(model: string): TemplatedModel {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-model-'));
  cpSync(model, folder, { recursive: true });
  const fixture: Fixture = JSON.parse(readFileSync('test/fixtures/chat/cases.json', 'utf8'));
  const templateFile = join(folder, 'chat_template.jinja');
  writeFileSync(templateFile, `{{ bos_token }}${fixture.templates['chatml-tools'] ?? ''}`);
  return {
    folder,
    templateFile,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
