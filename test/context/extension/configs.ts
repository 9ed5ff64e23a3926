/** What of published configurations decides positions and costs. */

const llama = { model_type: 'llama', torch_dtype: 'bfloat16' };
export const llama3Bands = {
  rope_type: 'llama3',
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};

export const llama2 = {
  ...llama,
  torch_dtype: 'float16',
  hidden_size: 4096,
  intermediate_size: 11008,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 32,
  vocab_size: 32000,
  max_position_embeddings: 4096,
};

export const llama31 = {
  ...llama,
  hidden_size: 4096,
  intermediate_size: 14336,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  vocab_size: 128256,
  max_position_embeddings: 131072,
  rope_theta: 500000,
  rope_scaling: llama3Bands,
};

export const qwen25 = {
  model_type: 'qwen2',
  torch_dtype: 'bfloat16',
  hidden_size: 3584,
  intermediate_size: 18944,
  num_hidden_layers: 28,
  num_attention_heads: 28,
  num_key_value_heads: 4,
  vocab_size: 152064,
  max_position_embeddings: 32768,
  rope_theta: 1000000,
  sliding_window: 131072,
  use_sliding_window: false,
};

export const deepseekV3 = {
  model_type: 'deepseek_v3',
  torch_dtype: 'bfloat16',
  hidden_size: 7168,
  intermediate_size: 18432,
  moe_intermediate_size: 2048,
  first_k_dense_replace: 3,
  n_routed_experts: 256,
  n_shared_experts: 1,
  num_experts_per_tok: 8,
  num_hidden_layers: 61,
  num_attention_heads: 128,
  num_key_value_heads: 128,
  q_lora_rank: 1536,
  kv_lora_rank: 512,
  qk_nope_head_dim: 128,
  qk_rope_head_dim: 64,
  v_head_dim: 128,
  vocab_size: 129280,
  max_position_embeddings: 163840,
  rope_theta: 10000,
  rope_scaling: {
    type: 'yarn',
    factor: 40,
    beta_fast: 32,
    beta_slow: 1,
    mscale: 1,
    mscale_all_dim: 1,
    original_max_position_embeddings: 4096,
  },
};

export const phi3 = {
  model_type: 'phi3',
  torch_dtype: 'bfloat16',
  hidden_size: 3072,
  intermediate_size: 8192,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 32,
  max_position_embeddings: 131072,
  original_max_position_embeddings: 4096,
  rope_theta: 10000,
  rope_scaling: {
    type: 'longrope',
    short_factor: Array.from({ length: 48 }, () => 1),
    long_factor: Array.from({ length: 48 }, (_, i) => 1 + i),
  },
};

/** Every sixth layer is full; settings by kind of layer, in a text_config. */
export const gemma3 = {
  model_type: 'gemma3',
  text_config: {
    model_type: 'gemma3_text',
    dtype: 'bfloat16',
    hidden_size: 2560,
    intermediate_size: 10240,
    num_hidden_layers: 34,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    max_position_embeddings: 131072,
    sliding_window: 1024,
    layer_types: Array.from({ length: 34 }, (_, i) =>
      i % 6 === 5 ? 'full_attention' : 'sliding_attention',
    ),
    rope_parameters: {
      full_attention: { rope_type: 'linear', factor: 8, rope_theta: 1000000 },
      sliding_attention: { rope_type: 'default', rope_theta: 10000 },
    },
  },
};
