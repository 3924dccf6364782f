"""Fields a path unlocks."""

from __future__ import annotations

from inline_snapshot import snapshot

from tests.federation.planner.planned import planned


def test_a_provided_field_is_taken_on_the_path_that_provides_it() -> None:
    query = "{ things { owner { name } } }"
    assert planned("provides", query) == snapshot("""\
QueryPlan {
  Fetch(service: "a") {
    {
      things {
        owner {
          name
        }
      }
    }
  }
}\
""")


def test_a_field_that_is_not_provided_is_fetched_from_its_owner() -> None:
    query = "{ things { owner { name age } } }"
    assert planned("provides", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        things {
          owner {
            __typename
            name
            id
          }
        }
      }
    },
    Flatten(path: "things.@.owner") {
      Fetch(service: "b") {
        {
          ... on Owner {
            __typename
            id
          }
        } =>
        {
          ... on Owner {
            age
          }
        }
      },
    },
  }
}\
""")


def test_a_field_is_provided_only_on_the_type_that_is_named() -> None:
    query = "{ book { animals { name } } }"
    assert planned("provides", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        book {
          animals {
            __typename
            ... on Cat {
              id
            }
            ... on Dog {
              name
            }
          }
        }
      }
    },
    Flatten(path: "book.animals.@|[Cat]") {
      Fetch(service: "b") {
        {
          ... on Cat {
            __typename
            id
          }
        } =>
        {
          ... on Cat {
            name
          }
        }
      },
    },
  }
}\
""")


def test_a_field_is_not_provided_on_other_paths() -> None:
    query = "{ media { animals { name } } }"
    assert planned("provides", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        media {
          animals {
            __typename
            id
          }
        }
      }
    },
    Flatten(path: "media.animals.@") {
      Fetch(service: "b") {
        {
          ... on Animal {
            __typename
            id
          }
        } =>
        {
          ... on Animal {
            name
          }
        }
      },
    },
  }
}\
""")


def test_what_is_provided_reaches_nested_objects() -> None:
    query = "{ products { categories { id name } } }"
    assert planned("nested-provides", query) == snapshot("""\
QueryPlan {
  Fetch(service: "all-products") {
    {
      products {
        categories {
          id
          name
        }
      }
    }
  }
}\
""")


def test_a_provided_field_may_lie_under_the_same_field_again() -> None:
    query = "{ tree { subCategories { name subCategories { name } } } }"
    assert planned("nested-provides", query) == snapshot("""\
QueryPlan {
  Fetch(service: "subcategories") {
    {
      tree {
        subCategories {
          name
          subCategories {
            name
          }
        }
      }
    }
  }
}\
""")


def test_a_union_member_may_be_provided_for() -> None:
    query = "{ media { ... on Book { title } ... on Movie { title } } }"
    assert planned("provides-union", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        media {
          __typename
          ... on Book {
            title
          }
          ... on Movie {
            id
          }
        }
      }
    },
    Flatten(path: "media.@|[Movie]") {
      Fetch(service: "b") {
        {
          ... on Movie {
            __typename
            id
          }
        } =>
        {
          ... on Movie {
            title
          }
        }
      },
    },
  }
}\
""")


def test_an_implementer_that_provides_more_is_asked_by_its_type() -> None:
    query = "{ product { samePriceProduct { ... on Book { price } } } }"
    assert planned("recursive-interface", query) == snapshot("""\
QueryPlan {
  Fetch(service: "a") {
    {
      product {
        __typename
        ... on Book {
          samePriceProduct {
            price
          }
        }
      }
    }
  }
}\
""")


def test_what_a_path_provides_need_not_be_fetched_to_be_required() -> None:
    query = "{ quotes { product { tax label } } }"
    assert planned("provides-required", query) == snapshot("""\
QueryPlan {
  Fetch(service: "quotes") {
    {
      quotes {
        product {
          tax
          label
        }
      }
    }
  }
}\
""")


def test_what_another_path_provides_has_to_be_fetched_to_be_required() -> None:
    query = "{ quotes { other { tax label } } }"
    assert planned("provides-required", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "quotes") {
      {
        quotes {
          other {
            __typename
            id
          }
        }
      }
    },
    Flatten(path: "quotes.@.other") {
      Fetch(service: "catalog") {
        {
          ... on Product {
            __typename
            id
          }
        } =>
        {
          ... on Product {
            price
            owner {
              __typename
              ... on Person {
                name
              }
            }
          }
        }
      },
    },
    Flatten(path: "quotes.@.other") {
      Fetch(service: "quotes") {
        {
          ... on Product {
            __typename
            id
            price
            owner {
              __typename
              ... on Person {
                name
              }
            }
          }
        } =>
        {
          ... on Product {
            tax
            label
          }
        }
      },
    },
  }
}\
""")
