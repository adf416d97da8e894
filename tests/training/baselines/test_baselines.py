import pytest
import torch

from training.baselines import (
    SequenceNetwork,
    SingleQuery,
    Skimming,
    Trained,
    clip_averages,
    network_macs,
)
from training.models import SkimmingNetwork, Student
from training.skimming.sequences import Track, collate, fixed_knots

D = 4


def student_of_features(classes=2):
    """A student whose score for class c is the sigmoid of twice the first image feature, or against it."""
    student = Student(classes, image_width=0.125, audio_width=0.125, features=D, fusion=2 * D).eval()
    for parameter in (*student.fusion.parameters(), *student.classifier.parameters()):
        torch.nn.init.zeros_(parameter)
    # ReLU(x) and ReLU(-x) of the first image feature, put together again.
    student.fusion[0].weight.data[0, 0] = 1.0
    student.fusion[0].weight.data[1, 0] = -1.0
    student.fusion[1].weight.data[0, :2] = torch.tensor([1.0, -1.0])
    student.classifier.weight.data[:2, 0] = torch.tensor([1.0, -1.0])
    return student


def track(values, audio=True):
    n = len(values)
    image = torch.zeros(n, D)
    image[:, 0] = torch.tensor(values)
    heard = torch.full((n,), audio)
    seen, inside = torch.ones(n, dtype=torch.bool), torch.zeros(n, dtype=torch.bool)
    return Track(image, torch.zeros(n, D), seen, heard, inside, 0, 0.5)


def expected(values):
    """Softmax of (x, -x) for class 0 is sigmoid(2 x)."""
    return torch.tensor(values).mul(2).sigmoid().mean().item()


VALUES = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 5.0, -6.0, 7.0, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6]
CHOSEN = {
    "UNIFORM": VALUES[1::2],
    "FRONT": VALUES[:10],
    "CENTER": VALUES[5:15],
    "END": VALUES[10:],
    "SCSAMPLER": [5.0, -6.0, 7.0, 1.6, 1.5, 1.4, 1.3, 1.2, 1.1, 1.0],
    "DENSE": VALUES,
}


@pytest.mark.parametrize("name", CHOSEN)
def test_averages_by_hand(name):
    method = {m.name: m for m in clip_averages(student_of_features())}[name]
    scores = method.scores([track(VALUES), track([0.5])])
    assert scores[0, 0] == pytest.approx(expected(CHOSEN[name]), abs=1e-6)
    assert scores[1, 0] == pytest.approx(expected([0.5]), abs=1e-6)
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(2))
    everything = name in {"SCSAMPLER", "DENSE"}
    assert method.pairs(track(VALUES)) == ((20, 20) if everything else (10, 10))
    assert method.pairs(track([0.5], audio=False)) == (1, 0)


def test_random_draws_ten_different_pairs_the_same_each_time():
    method = clip_averages(student_of_features(), seed=3)[0]
    chosen = method.choose(20)
    assert len(chosen.unique()) == 10
    assert torch.equal(chosen, method.choose(20))
    assert not torch.equal(chosen, clip_averages(student_of_features(), seed=4)[0].choose(20))
    assert method.pairs(track(VALUES)) == (10, 10)


def test_several_labels_have_sigmoids():
    method = clip_averages(student_of_features(), several=True)[-1]
    scores = method.scores([track([0.5, 1.5])])[0]
    values = torch.tensor([0.5, 1.5])
    torch.testing.assert_close(scores, torch.stack([values.sigmoid().mean(), (-values).sigmoid().mean()]))


def test_multiply_adds_are_counted_by_hand():
    student = student_of_features(classes=3)
    # A pair: fusion 8x8 and 8x4, classifier 4x3.
    assert network_macs(clip_averages(student)[-1], track(VALUES)) == 20 * (8 * 8 + 8 * 4 + 4 * 3)


def test_skimming_is_a_method():
    skimmer = SkimmingNetwork(3, features=D, fusion=8, keys=4, hidden=8)
    sparse, whole = (Skimming(f"ours {factor}", skimmer, 4, factor) for factor in (5, 1))
    tracks = [track(VALUES), track(VALUES[:7], audio=False)]
    assert sparse.pairs(tracks[0]) == (4, 4)
    assert sparse.pairs(tracks[1]) == (2, 0)
    assert whole.pairs(tracks[0]) == (20, 20)
    scores = sparse.scores(tracks)
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(2))
    torch.testing.assert_close(scores[1:], sparse.scores(tracks[1:]))
    assert network_macs(sparse, tracks[0]) < network_macs(whole, tracks[0])


def test_a_visual_only_skimmer_encodes_no_sound():
    skimmer = SkimmingNetwork(3, features=D, fusion=8, keys=4, hidden=8, modalities=("image",))
    assert Skimming("ours", skimmer, 4, 5).pairs(track(VALUES)) == (4, 0)


def noisy(n, audio=True):
    found = track([0.0] * n, audio)
    found.image, found.audio = torch.randn(n, D), torch.randn(n, D)
    return found


NETWORKS = {
    "LSTM": lambda: SequenceNetwork(3, features=D, fusion=8, hidden=6),
    "NON-RECURRENT": lambda: SingleQuery(SkimmingNetwork(3, features=D, fusion=8, keys=4, hidden=8)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_trained_baselines_read_each_video_by_itself(name):
    method = Trained(name, NETWORKS[name]())
    tracks = [noisy(7), noisy(30), noisy(12, audio=False)]
    scores = method.scores(tracks)
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(3))
    for number, each in enumerate(tracks):
        torch.testing.assert_close(scores[number], method.scores([each])[0])
    assert method.pairs(tracks[1]) == (30, 30)
    assert method.pairs(tracks[2]) == (12, 0)
    # Sound that could not be decoded is not heard.
    tracks[2].audio = torch.randn(12, D)
    torch.testing.assert_close(scores[2], method.scores(tracks)[2])


def test_an_lstm_reads_psi_of_every_pair_and_answers_from_the_last_state():
    network, each = NETWORKS["LSTM"]().eval(), noisy(5)
    fused = network.fusion(each.image, each.audio)
    state = torch.zeros(1, 6), torch.zeros(1, 6)
    weights = [getattr(network.lstm, name) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    for row in fused:
        state = torch.lstm_cell(row[None], state, *weights)
    expected = network.classifier(state[0])
    torch.testing.assert_close(network(collate([fixed_knots(each, 1)])), expected)
    # Psi 8x8 and 8x4, the gates 24x4 and 24x6, at every pair; the classifier 6x3 once.
    macs = network_macs(Trained("LSTM", network), each)
    assert macs == 5 * (8 * 8 + 8 * 4 + 24 * 4 + 24 * 6) + 6 * 3


def test_a_single_query_averages_the_ten_pairs_with_the_most_attention():
    network, each = NETWORKS["NON-RECURRENT"]().eval(), noisy(25)
    batch = collate([fixed_knots(each, 1)])
    with torch.no_grad():
        output = network.skimmer(batch, 1)
        votes = output.modality_scores[0, 0]
        mix = votes[0] * output.image_attention[0, 0] + votes[1] * output.audio_attention[0, 0]
        best = sorted(range(25), key=lambda j: -mix[j].item())[:10]
        fused = network.skimmer.fusion(each.image[best], each.audio[best])
        mean = (mix[best, None] * fused).sum(dim=0) / mix[best].sum()
        torch.testing.assert_close(network(batch)[0], network.skimmer.classifier(mean))
    network(batch).sum().backward()
    assert network.skimmer.query_audio[0].weight.grad.abs().max() > 0
