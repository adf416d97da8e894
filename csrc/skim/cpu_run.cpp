#include "skim/cpu_run.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/padding.h"

namespace l2l {
namespace {

constexpr std::int64_t kRowsATask = 48;
// Rows that are joined together: enough that weights are read seldom, few enough to share them out.
constexpr std::int64_t kJoinedATask = 16;

std::size_t to_size(std::int64_t n) { return static_cast<std::size_t>(n); }

AlignedVector<float> zeros(std::int64_t n) { return AlignedVector<float>(to_size(n), 0.0f); }

}  // namespace

CpuRun::CpuRun(const CpuModel& model, const Settings& settings, const SkimInput& input, const SkimOutput& output)
    : model_(model), in_(input), out_(output), batch_(input.timestamps.shape[0]) {
  const Bank image = joined_like(in_.banks[0], 0), audio = joined_like(in_.banks[1], 1);
  const bool both = image.present() && audio.present();
  banks_.reserve(to_size(2 * batch_));
  for (std::int64_t video = 0; video < batch_; ++video) {
    const auto next = static_cast<std::int64_t>(banks_.size());
    if (image.present()) add_bank(image, 0, video, both ? next + 1 : -1, settings.exclude_previous_argmax);
    if (audio.present()) add_bank(audio, 1, video, both ? next : -1, settings.exclude_previous_argmax);
  }
  mixed_ = zeros(batch_ * model.fusion_in.in());
  hidden_ = zeros(batch_ * model.fusion_in.out());
  fused_ = zeros(batch_ * model.feature_width);
  gates_ = zeros(batch_ * model.lstm_input.out());
  c_ = zeros(batch_ * model.state_width);
  h_ = zeros(batch_ * model.state_width);
  state_ = zeros(batch_ * model.state.out());
  for (int m = 0; m < 2; ++m) query_[m] = zeros(batch_ * model.heads[m].second.out());
  means_ = zeros(batch_ * in_.steps * model.feature_width);
  logits_ = zeros(batch_ * in_.steps * model.classifier.out());
}

// The bank that is skimmed: the given one, or with preset `paired` one that join() fills.
Bank CpuRun::joined_like(const Bank& bank, int modality) {
  if (!model_.paired || !bank.present()) return bank;
  joined_[modality] = AlignedVector<float>(to_size(bank.rows.size()));
  return {{joined_[modality].data(), bank.rows.shape}, bank.times, bank.lengths};
}

void CpuRun::add_bank(const Bank& bank, int modality, std::int64_t video, std::int64_t other, bool excluding) {
  const std::int64_t knots = length_of(bank.lengths, video, bank.rows.shape[1]);
  const std::int64_t moments = length_of(in_.lengths, video, in_.timestamps.shape[1]);
  const PackedLinear& key = model_.heads[modality].key;
  banks_.push_back({video, modality, other,
                    BankIndex(model_.kernels, model_.precision, bank.rows.row(video), knots, model_.feature,
                              bank.times.row(video), in_.timestamps.row(video), moments, excluding,
                              key.out() == 0 ? nullptr : &key)});
  const auto index = static_cast<std::int64_t>(banks_.size()) - 1;
  const auto split = [index](std::int64_t rows, std::vector<Task>& tasks, std::int64_t together = kRowsATask) {
    for (std::int64_t begin = 0; begin < rows; begin += together) {
      tasks.push_back({index, begin, std::min(begin + together, rows)});
    }
  };
  if (model_.paired) split(knots, join_tasks_, kJoinedATask);
  split(knots, knot_tasks_);
  if (banks_.back().index.has_keys()) split(moments, key_tasks_);
  split(banks_.back().index.scored(), score_tasks_);
}

// Preset `paired`: z + Psi^m(z^I, z^A) for some rows of a bank, the other modality's between two of its knots; what is
// absent counts as zeros.
void CpuRun::join(const Task& task) {
  const VideoBank& bank = banks_[to_size(task.bank)];
  const Bank &own = in_.banks[bank.modality], &other = in_.banks[1 - bank.modality];
  const PackedLinear &first = model_.pairs[bank.modality].first, &second = model_.pairs[bank.modality].second;
  const std::int64_t count = task.end - task.begin, size = model_.feature;
  const std::int64_t others = other.present() ? length_of(other.lengths, bank.video, other.rows.shape[1]) : 0;
  AlignedVector<float> both = zeros(count * first.in());
  AlignedVector<float> hidden(to_size(count * first.out())), added(to_size(count * second.out()));
  std::vector<std::int32_t> lower(to_size(count));
  std::vector<float> fraction(to_size(count));
  if (others > 0) {
    locate(other.times.row(bank.video), others, own.times.row(bank.video) + task.begin, count, lower.data(),
           fraction.data());
  }
  for (std::int64_t i = 0; i < count; ++i) {
    float* parts = &both[to_size(i * first.in())];
    std::copy_n(own.rows.row(bank.video, task.begin + i), size, parts + bank.modality * model_.feature_width);
    if (others == 0) continue;
    const std::int64_t knot = lower[to_size(i)];
    model_.kernels.lerp(other.rows.row(bank.video, knot), other.rows.row(bank.video, std::min(knot + 1, others - 1)),
                        fraction[to_size(i)], size, parts + (1 - bank.modality) * model_.feature_width);
  }
  first.run(both.data(), first.in(), hidden.data(), first.out(), count, 0, first.panels(), true);
  second.run(hidden.data(), second.in(), added.data(), second.out(), count, 0, second.panels(), false);
  float finite = 0.0f;  // x - x is 0 for finite values only
  for (std::int64_t i = 0; i < count; ++i) {
    const float* from = own.rows.row(bank.video, task.begin + i);
    const std::int64_t row = bank.video * own.rows.shape[1] + task.begin + i;
    for (std::int64_t d = 0; d < size; ++d) {
      finite += from[d] - from[d];
      joined_[bank.modality][to_size(row * size + d)] = from[d] + added[to_size(i * second.out() + d)];
    }
  }
  if (finite != 0.0f) bad_source_[bank.modality].store(true, std::memory_order_relaxed);
}

void CpuRun::walk(Member& member) {
  prepare(member);
  for (std::int64_t t = 0; t < in_.steps; ++t) {
    mix_features(member, t);
    recur(member, t);
    ask(member, t);
    choose(member, t);
  }
  classify(member);
}

void CpuRun::prepare(Member& member) {
  member.each(static_cast<std::int64_t>(join_tasks_.size()), [&](std::int64_t i) { join(join_tasks_[to_size(i)]); });
  const auto rows = static_cast<std::int64_t>(knot_tasks_.size());
  member.each(static_cast<std::int64_t>(banks_.size()), [&](std::int64_t i) {
    banks_[to_size(i)].index.locate_moments();
  });
  member.each(rows, [&](std::int64_t i) {
    const Task& task = knot_tasks_[to_size(i)];
    VideoBank& bank = banks_[to_size(task.bank)];
    if (!bank.index.store_rows(task.begin, task.end)) bad_bank_[bank.modality].store(true, std::memory_order_relaxed);
    if (bank.index.has_keys()) bank.index.multiply_keys(task.begin, task.end);
  });
  member.each(static_cast<std::int64_t>(key_tasks_.size()), [&](std::int64_t i) {
    const Task& task = key_tasks_[to_size(i)];
    banks_[to_size(task.bank)].index.make_keys(task.begin, task.end);
  });
}

// Eq. 8: z~_t for both banks, or at first the mean of the rows. The weights are mixed first (fold 2), so that one sum
// of Eq. 7 a bank does for the paper's two.
void CpuRun::mix_features(Member& member, std::int64_t t) {
  const auto banks = static_cast<std::int64_t>(banks_.size());
  member.each(banks, [&](std::int64_t i) {
    VideoBank& bank = banks_[to_size(i)];
    if (t == 0) {
      bank.index.spread_evenly();
      return;
    }
    const float* scores = out_.modality_scores.row(bank.video, t - 1);
    const float* other = bank.other < 0 ? nullptr : banks_[to_size(bank.other)].index.attention();
    bank.index.spread(scores[bank.modality], other, scores[1 - bank.modality]);
  });
  const std::int64_t columns = model_.feature_width / kPad;
  member.each(banks * columns, [&](std::int64_t i) {
    const VideoBank& bank = banks_[to_size(i / columns)];
    float* row = &mixed_[to_size(bank.video * model_.fusion_in.in() + bank.modality * model_.feature_width)];
    bank.index.index(i % columns * kPad, row);
  });
}

// y = layer x for `rows` rows x.
void CpuRun::multiply(Member& member, const PackedLinear& layer, const AlignedVector<float>& x, AlignedVector<float>& y,
                      std::int64_t rows, bool relu) const {
  member.each(layer.panels(), [&](std::int64_t panel) {
    layer.run(x.data(), layer.in(), y.data(), layer.out(), rows, panel, panel + 1, relu);
  });
}

// Eq. 5: Psi of z~_t, then the LSTM.
void CpuRun::recur(Member& member, std::int64_t t) {
  multiply(member, model_.fusion_in, mixed_, hidden_, batch_, true);
  multiply(member, model_.fusion_out, hidden_, fused_, batch_, false);
  const PackedLinear& layer = model_.lstm_input;
  member.each(layer.panels() + batch_, [&](std::int64_t panel) {
    if (panel >= layer.panels()) {
      const std::int64_t video = panel - layer.panels();
      std::copy_n(&fused_[to_size(video * model_.feature_width)], model_.feature, out_.step_features.row(video, t));
      return;
    }
    layer.run(fused_.data(), layer.in(), gates_.data(), layer.out(), batch_, panel, panel + 1, false);
    for (std::int64_t b = 0; b < batch_; ++b) {
      const float* recurrent = &state_[to_size(b * model_.state.out() + model_.recurrent_row + panel * kPanel)];
      const std::int64_t unit = b * model_.state_width + panel * kUnits;
      model_.kernels.lstm_cell(&gates_[to_size(b * layer.out() + panel * kPanel)], t == 0 ? nullptr : recurrent,
                               &c_[to_size(unit)], &h_[to_size(unit)]);
    }
  });
}

// Everything that is asked of h_t: the queries of Eq. 6, with the keys folded in (fold 1), the modality head of Eq. 8
// and, but for the last step, W_hh h_t of the next Eq. 5.
void CpuRun::ask(Member& member, std::int64_t t) {
  const PackedLinear& layer = model_.state;
  const std::int64_t rows = t + 1 < in_.steps ? layer.out() : model_.recurrent_row;
  member.each(rows / kPanel, [&](std::int64_t panel) {
    bool relu = false;
    for (const CpuModel::Head& head : model_.heads) {
      const std::int64_t row = panel * kPanel - head.row;
      relu |= head.has_second && row >= 0 && row < head.width;
    }
    layer.run(h_.data(), layer.in(), state_.data(), layer.out(), batch_, panel, panel + 1, relu);
  });
  for (int m = 0; m < 2; ++m) {
    const CpuModel::Head& head = model_.heads[m];
    if (!head.has_second) continue;
    member.each(head.second.panels(), [&](std::int64_t panel) {
      head.second.run(&state_[to_size(head.row)], layer.out(), query_[m].data(), head.second.out(), batch_, panel,
                      panel + 1, false);
    });
  }
}

const float* CpuRun::query_of(const VideoBank& bank) const {
  const CpuModel::Head& head = model_.heads[bank.modality];
  if (head.has_second) return &query_[bank.modality][to_size(bank.video * head.second.out())];
  return &state_[to_size(bank.video * model_.state.out() + head.row)];
}

// Eq. 6, the attention of this step, and its modality scores.
void CpuRun::choose(Member& member, std::int64_t t) {
  member.each(static_cast<std::int64_t>(score_tasks_.size()), [&](std::int64_t i) {
    const Task& task = score_tasks_[to_size(i)];
    VideoBank& bank = banks_[to_size(task.bank)];
    bank.index.score(query_of(bank), task.begin, task.end);
  });
  member.each(static_cast<std::int64_t>(banks_.size()), [&](std::int64_t i) {
    VideoBank& bank = banks_[to_size(i)];
    bank.index.attend();
    write_attention(bank, t);
    if (bank.modality == 0 || bank.other < 0) write_modality_scores(bank, t);
  });
}

void CpuRun::write_attention(const VideoBank& bank, std::int64_t t) const {
  const std::int64_t width = in_.timestamps.shape[1];
  float* row = out_.attention[bank.modality].row(bank.video, t);
  std::copy_n(bank.index.attention(), bank.index.moments(), row);
  std::fill_n(row + bank.index.moments(), width - bank.index.moments(), 0.0f);
  if (bank.other < 0) std::fill_n(out_.attention[1 - bank.modality].row(bank.video, t), width, 0.0f);
}

// (s^I, s^A) of Eq. 8; a missing modality forces them.
void CpuRun::write_modality_scores(const VideoBank& bank, std::int64_t t) const {
  float* scores = out_.modality_scores.row(bank.video, t);
  scores[bank.modality] = 1.0f;
  scores[1 - bank.modality] = 0.0f;
  if (bank.other < 0) return;
  const float* head = &state_[to_size(bank.video * model_.state.out() + model_.modality_row)];
  scores[0] = 1.0f / (1.0f + std::exp(head[1] - head[0]));  // the softmax over two
  scores[1] = 1.0f / (1.0f + std::exp(head[0] - head[1]));
}

// Eq. 9 after every step: the classifier on the mean of the step features up to then. After the last it is the answer.
void CpuRun::classify(Member& member) {
  member.each(batch_, [&](std::int64_t b) {
    float* first = &means_[to_size(b * in_.steps * model_.feature_width)];
    for (std::int64_t t = 0; t < in_.steps; ++t) {
      const float* features = out_.step_features.row(b, t);
      float* sum = first + t * model_.feature_width;
      const float* before = t == 0 ? sum : sum - model_.feature_width;  // the first is all 0 yet
      for (std::int64_t d = 0; d < model_.feature; ++d) sum[d] = before[d] + features[d];
    }
    for (std::int64_t t = 0; t < in_.steps; ++t) {
      float* mean = first + t * model_.feature_width;
      for (std::int64_t d = 0; d < model_.feature; ++d) mean[d] /= static_cast<float>(t + 1);
    }
  });
  multiply(member, model_.classifier, means_, logits_, batch_ * in_.steps, false);
  member.each(batch_, [&](std::int64_t b) {
    for (std::int64_t t = 0; t < in_.steps; ++t) {
      const float* row = &logits_[to_size((b * in_.steps + t) * model_.classifier.out())];
      std::copy_n(row, model_.classes, out_.step_logits.row(b, t));
    }
    std::copy_n(out_.step_logits.row(b, in_.steps - 1), model_.classes, out_.logits.row(b));
  });
}

void CpuRun::check_banks() const {
  const char* names[2] = {"image_bank", "audio_bank"};
  for (int m = 0; m < 2; ++m) {
    // Joined, one bank's would be the other's too.
    require(!bad_source_[m].load(), names[m], ": contains a value that is not finite");
  }
  for (int m = 0; m < 2; ++m) {
    require(!bad_bank_[m].load(), names[m], ": a value is not finite, or too large for the precision");
  }
}

}  // namespace l2l
