"""scikit-learn: merged methods of estimators, through what it wraps, clones and routes."""

import sys

import frameworks
import numpy as np
import pytest

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MergeDefinitionError,
    MissingParamError,
    find_unset,
    mergeable,
)

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, OneToOneFeatureMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

X = np.array([[-1.0, 2.0], [3.0, -4.0]])
CLIPPED = [[0.0, 2.0], [3.0, 0.0]]


@pytest.fixture
def clip(inject, monkeypatch):
    """Return a transformer that clips at zero, or folds; it can be pickled."""

    @mergeable("fold", method=("transform", "inverse_transform"))
    class Clip(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
        def __init__(self, low=0.0, fold=None):
            self.low = low
            self.fold = fold

        def fit(self, X, y=None):
            validate_data(self, X)
            return self

        def transform(self, X, fold: bool = MERGED):
            check_is_fitted(self)
            X = validate_data(self, X, reset=False)
            return self.low + np.abs(X - self.low) if fold else np.maximum(X, self.low)

        def inverse_transform(self, X, *, fold: bool = MERGED):
            return "folded" if fold else "clipped"

        def __sklearn_is_fitted__(self):
            return hasattr(self, "n_features_in_")

    # It is found under this name where it is unpickled.
    Clip.__qualname__ = "Clip"
    monkeypatch.setattr(sys.modules[__name__], "Clip", Clip, raising=False)
    return Clip


def test_parameters(clip):
    """The constructor's parameters are those that it is written with.

    `fit_transform` of the mixin calls `transform` without the parameter.
    """
    estimator = clip().set_params(fold=False)

    assert {"low": 0.0, "fold": False} == estimator.get_params()
    assert "Clip(fold=False)" == repr(estimator)
    assert CLIPPED == estimator.fit(X).transform(X).tolist() == estimator.fit_transform(X).tolist()
    assert ("folded", "clipped") == (
        clip(fold=True).inverse_transform(X),
        clip().inverse_transform(X, fold=False),
    )
    for call in (estimator.set_params(fold=None).transform, clip().fit_transform):
        with pytest.raises(MissingParamError):
            call(X)


def test_set_output(clip):
    """What the merged method returns still goes through the output wrapper."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(X, columns=["a", "b"], index=[7, 8])
    set_, unset = clip(fold=False).fit(frame), clip().fit(frame)

    for result in (
        set_.set_output(transform="pandas").transform(frame),
        unset.set_output(transform="pandas").transform(frame, fold=False),
    ):
        assert (["a", "b"], [7, 8]) == (list(result.columns), list(result.index))
        assert CLIPPED == result.to_numpy().tolist()


def test_composites(clip):
    """Pipelines and column transformers clone, name and call their parts."""
    pipeline = make_pipeline(clip(), clip(low=1.0))
    columns = ColumnTransformer([("clip", clip(fold=False), [0])])

    assert [".steps[0][1]", ".steps[1][1]"] == [path for path, _, _ in find_unset(pipeline)]
    with pytest.raises(MissingParamError):
        pipeline.fit_transform(X)
    pipeline.set_params(**{"clip-1__fold": False, "clip-2__fold": False})
    assert [[1.0, 2.0], [3.0, 1.0]] == pipeline.fit(X).transform(X).tolist()
    assert [[0.0], [3.0]] == columns.fit_transform(X).tolist()


def test_grid_search(inject):
    """A search sets the constructor's value, and `score` calls the merged `predict`."""

    @mergeable("threshold", method="predict")
    class Threshold(ClassifierMixin, BaseEstimator):
        def __init__(self, threshold=None):
            self.threshold = threshold

        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self

        def predict(self, X, threshold: float = MERGED):
            return (X[:, 0] > threshold).astype(int)

    features = np.arange(20.0).reshape(-1, 1)
    labels = (features[:, 0] > 12).astype(int)
    grid = {"threshold": [4, 12, 16]}
    search = GridSearchCV(Threshold(), grid, cv=2, error_score="raise").fit(features, labels)

    assert {"threshold": 12} == search.best_params_
    assert 1.0 == Threshold(12).fit(features, labels).score(features, labels)
    assert [0, 1] == Threshold().predict(np.array([[1.0], [3.0]]), threshold=2).tolist()
    with pytest.raises(MissingParamError):
        GridSearchCV(Threshold(), {"threshold": [None]}, error_score="raise").fit(features, labels)


def test_metadata_routing(clip):
    """A merged parameter can be requested, also under another name, and is a call's value."""
    with sklearn.config_context(enable_metadata_routing=True):
        requested = make_pipeline(clip().set_transform_request(fold=True)).fit(X)
        renamed = make_pipeline(clip().set_transform_request(fold="fold_first")).fit(X)
        not_requested = make_pipeline(clip()).fit(X)
        set_ = make_pipeline(clip(fold=False).set_transform_request(fold=True)).fit(X)

        assert CLIPPED == requested.transform(X, fold=False).tolist()
        assert CLIPPED == renamed.transform(X, fold_first=False).tolist()
        assert CLIPPED == set_.transform(X).tolist()
        with pytest.raises(MissingParamError):
            requested.transform(X)
        with pytest.raises(ConflictingParamError):
            set_.transform(X, fold=False)
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match=r"\[fold\]"):
            not_requested.transform(X, fold=False)


def test_inherited_method_that_is_to_be_spliced():
    """A method that a base holds wrapped cannot be spliced into."""

    class Inherits(frameworks.Sklearn().layer(default=None)):
        pass

    with pytest.raises(MergeDefinitionError, match="Write inject='auto'"):
        mergeable("flag", method="transform", inject="inline")(Inherits)


def test_available_if(inject):
    """A merged method that only some instances have, by a descriptor that is no callable."""

    class Optional(BaseEstimator):
        def __init__(self, fold=None, available=True):
            self.fold = fold
            self.available = available

        @available_if(lambda self: self.available)
        def transform(self, X, fold=MERGED):
            return fold

    class Inherits(Optional):
        pass

    with pytest.raises(MergeDefinitionError, match="which is no callable"):
        mergeable("fold", method="transform")(Inherits)
    mergeable("fold", method="transform")(Optional)

    assert (1, 2) == (Optional(1).transform(X), Optional().transform(X, 2))
    assert not hasattr(Optional(1, available=False), "transform")
    with pytest.raises(MissingParamError):
        Optional().transform(X)


def test_checks_of_scikit_learn(clip):
    """A merged estimator passes what scikit-learn asks of every estimator."""
    results = check_estimator(clip(fold=True), on_fail=None, on_skip=None)

    assert [] == [result for result in results if result["status"] == "failed"]
    assert len(results) > 40
