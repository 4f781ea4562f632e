# %% [markdown]
# # Choosing a strength on a table
#
# <!-- tests: slow -->
#
# How strong should a penalty be? Too weak, and it does nothing; too strong, and the model no longer
# sees the data. The answer is in the data: try a grid of strengths, and look at rows that the
# training has not seen.
#
# The table is about 442 patients with diabetes: ten measurements, and how far the disease had gone
# a year later.

# %%
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
train_X, test_X, train_y, test_y = train_test_split(X, y, random_state=0)
train_X.head(3).round(1)

# %% [markdown]
# The measurements have different units. A penalty compares the sizes of weights, so the columns
# must have one scale first. We take it from the training rows, since the test rows are not ours to
# know.

# %%
mean, spread = train_X.mean(), train_X.std()
train_X, test_X = (train_X - mean) / spread, (test_X - mean) / spread
centre, width = train_y.mean(), train_y.std()
train_y, test_y = (train_y - centre) / width, (test_y - centre) / width

# %% [markdown]
# ## A grid of strengths
#
# `MLPRegressorCV` with no hidden layer is a linear model. It tries twenty strengths, from the one
# at which no input is left to a thousandth of it, each on five folds: a fifth of the rows is held
# back, the model is fitted to the others, and the score R² is that on the fifth.

# %%
from shrinkage.sklearn import MLPRegressorCV

lasso = MLPRegressorCV(hidden_layer_sizes=(), penalty="l1", strengths=20, cv=5)
lasso.fit(train_X, train_y)
lasso.plot_path()

# %% [markdown]
# Read it from right to left. At the right end the penalty wins: no input has a weight, and the
# model predicts the mean. As it weakens, inputs come in and the score rises, until more inputs no
# longer help. The band is one standard error: the score that other folds might have given.
#
# The dotted line is the strength that was chosen. It is not the best score but the **strongest
# penalty within one standard error of the best**. Its model is simpler, and nobody can tell from
# these data that it is worse.

# %%
chosen = lasso.feature_names_in_[lasso.selected_features_]
print("chosen inputs:", ", ".join(chosen))
best = MLPRegressorCV(hidden_layer_sizes=(), penalty="l1", rule="best").fit(train_X, train_y)
for name, model in (("one standard error", lasso), ("best score", best)):
    inputs, score = model.selected_features_.sum(), model.score(test_X, test_y)
    print(f"{name:<19} strength {model.strength_:.3f}, {inputs} inputs, test R² {score:.2f}")

# %% [markdown]
# ## Which penalty?
#
# A study asks the same question of several penalties at once. Every training is a record in a
# folder; strengths are chosen on validation rows; the test rows are looked at once, at the end.

# %%
import tempfile

from shrinkage.study import compare

folder = tempfile.mkdtemp()
results = compare(
    "diabetes",
    penalty=["l1@proximal", "l2@coupled", "elastic_net@proximal"],
    model="linear",
    seeds=3,
    jobs=1,
    out=folder,
    quiet=True,
)
results.text_table()[["method", "rule", "strength", "validation", "zeros"]]

# %%
results.plot()

# %%
print(results.verdict)

# %% [markdown]
# The verdict speaks of what the data can tell. Where the scores of two penalties lie within each
# other's errors, take the one whose model you prefer: with zeros, if you want to know which inputs
# matter.
