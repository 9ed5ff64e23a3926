"""Chats through a base URL with the official Python client, whole and streamed: `openai_client.py BASE_URL MODEL`."""
import sys

from openai import OpenAI

base_url, model = sys.argv[1:]
client = OpenAI(base_url=base_url, api_key="none", max_retries=0)
request = dict(model=model, messages=[{"role": "user", "content": "The sea is"}], max_tokens=8, temperature=0)
whole = client.chat.completions.create(**request).choices[0].message.content
streamed = "".join(
    part.choices[0].delta.content or "" for part in client.chat.completions.create(stream=True, **request) if part.choices
)
assert streamed == whole, (streamed, whole)
print("ok", len(whole))
