"""The tab that explains the page: what is drawn, what is computed, and how to bring own data."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from concept_fragmentation.analysis.cluster_quality import LEAST_STABILITY
from concept_fragmentation.components.figures.layer_names import UNSTABLE

_TERMS: tuple[tuple[str, str], ...] = (
    (
        "Cluster",
        "In each layer, the tokens' hidden states were grouped; the groups are numbered. The "
        "numbers of different layers are unrelated; labels show them as they are. Clusters of "
        "neighbouring layers are matched where they share at least a quarter of the larger one's "
        "tokens. A chain of such matches has one colour and one aligned number. It says what goes "
        "on from a layer to the next: over many layers the tokens of a chain may change wholly.",
    ),
    (
        "Path",
        "The clusters a token passes through in the layers of the window, in order. The most "
        "frequent paths are called archetypal.",
    ),
    (
        "Cluster changes",
        "In how many consecutive pairs of layers a token leaves the chain of clusters it is in.",
    ),
    (
        "Path entropy",
        "How many different companies a token has along its path, in nats: 0 for the same tokens "
        "around it in all layers. It compares the members of its clusters, not their numbers.",
    ),
    (
        "Mobility",
        "From 0 (never moves) to 1 (moves at every step). With hidden states, the mean of the "
        "share of changes and of the angle turned between layers.",
    ),
    (
        "Path length",
        "The sum of Euclidean distances between a token's hidden states in consecutive layers.",
    ),
    (
        "Fragmentation",
        "Entropy of the paths' distribution, divided by the logarithm of how many paths the tokens "
        "can reach: 0 when all tokens share one path, 1 when they are spread evenly over all of "
        "these. It falls with the number of tokens, so that two texts compare at one number only.",
    ),
    (
        "Cluster entropy",
        "Entropy, in nats, of a layer's distribution of tokens over clusters: ln k when k "
        "clusters are equally large.",
    ),
    (
        "Attention",
        "Entropy says how widely a head spreads its weight; as a share of the most that the causal "
        "mask leaves a query, early and late ones compare. Agreement says how alike heads attend, "
        "beside what it would be if each put its weights on the reachable keys in random order. "
        "Rollout and flow follow "
        "attention down to the input: where information can flow, not that it does.",
    ),
    (
        "Noise floor",
        "What a number of movement would be if all layers of the window were one layer, clustered "
        "again and again: two clusterings of one layer differ, too. Movement below its "
        "floor says nothing; above it, something other than another sample of words has changed "
        "the clusters. Labels that were supplied have none: nobody knows which others the same "
        "clustering would have given.",
    ),
    (
        f"Layers with {UNSTABLE}",
        "Clusters of such a layer do not come again with another seed and a part of the tokens: "
        f"the adjusted Rand index of two clusterings is below {LEAST_STABILITY}. Where one cluster "
        "ends and the next begins means little there.",
    ),
    (
        "A Gaussian like the layer",
        "Tokens drawn from a single cloud that has the mean and the covariance of the layer, and "
        "in which words repeat as often. Clusters that are no clearer, or come again no more "
        "often, than those found in it are regions of one cloud, or occurrences of a word.",
    ),
    (
        "More than chance",
        "Tests of the paths keep what goes from each cluster to each of the next layer, and ask "
        "whether where a token comes from says more. Layers that are shuffled, as earlier versions "
        "had it, always differ from those of a model: each follows from the one before. p-values "
        "are corrected for how many were tested, and one above 0.05 does not show that nothing is "
        "there: look at the difference and its interval.",
    ),
    (
        "Compared clusters",
        "The clusters of two analyses are matched so that they share as many tokens as possible, "
        "layer by layer. A token has moved if it left the cluster that its own is matched with.",
    ),
    (
        "Categories",
        "What an analysis says of each token, such as its part of speech. Under “Only tokens of” a "
        "category leaves these tokens alone in every path, flow, table and map; clusters keep "
        "their colours, and a map stays where it is. The noise floor of a part of the tokens is "
        "not known. Attention, the quality of clusters, tests and Compare are of all tokens. "
        "“Colour by” a category colours the token flow, the trajectories and the map of a layer, "
        "and stands beside all paths at a glance.",
    ),
    (
        "By category",
        "F is the share of a category's tokens that are not on the path most of them take, H how "
        "widely they spread over the clusters of the window's last layer. Both are low for few "
        "tokens. F of each category, and H of all together, stand beside categories that are "
        "dealt anew to the words: only what lies outside that range is of the category.",
    ),
    (
        "Highlights",
        "Find tokens, or click an archetypal path: they are drawn on top in the token flow. Click "
        "a cluster, or a layer in any figure: it is framed in all that show it, and a second click "
        "on a layer ends that. The address of the page is the view, so copying it is sharing what "
        "you see.",
    ),
)

_EXAMPLE = """from concept_fragmentation.analysis import analysis_from_labels
from concept_fragmentation.persistence import save_gpt2_analysis

analysis = analysis_from_labels(tokens, labels)  # labels: one column a layer
save_gpt2_analysis(analysis, model_name="gpt2", input_text=text)"""


def guide() -> html.Div:
    """Return the content of the tab."""
    terms: list[Component] = []
    for term, meaning in _TERMS:
        terms += [html.Dt(term), html.Dd(meaning)]
    return html.Div(
        [
            html.H2("How to read this page", className="cf-section-title"),
            html.Dl(terms, className="cf-terms"),
            html.H2("Analyze a text", className="cf-section-title"),
            html.P(
                "Under Analyze, paste a text or drop a file and choose a model: hidden states, "
                "clusters and metrics are computed in the background. The result is shown at once, "
                "and is kept when you save it. Of a table, choose the column of the texts and any "
                "columns of categories."
            ),
            html.H2("Keep, find and share", className="cf-section-title"),
            html.P(
                "Save Analysis keeps versions; Save view keeps what you look at; a session holds "
                "analyses that belong together. The Library finds them again. Copy link gives the "
                "address of just this view, Report a file that opens anywhere, and the menu at "
                "each figure its image, its data and the Python that draws it."
            ),
            html.H2("Bring your own clusters", className="cf-section-title"),
            html.P(
                "Save an analysis from Python and it appears under Analysis Persistence; or "
                "drop an exported file, or an analysis written as JSON, onto Import."
            ),
            html.Pre(html.Code(_EXAMPLE), className="cf-code", tabIndex=0),
        ],
        className="cf-guide",
    )
