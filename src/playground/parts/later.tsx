/** Parts of the page that are fetched when they are first shown. */
import { Component, type ComponentType, type VNode } from "preact";

type Load<Props> = () => Promise<ComponentType<Props>>;

/**
 * Shows `Meanwhile` until the part is here: nothing, unless said. A part that cannot be fetched is asked for again where
 * it is shown again.
 */
export function later<Props extends object>(
  load: Load<Props>,
  Meanwhile: ComponentType<Props> = () => null,
): ComponentType<Props> {
  let Found: ComponentType<Props> | undefined;
  return class Later extends Component<Props, { isMissing: boolean }> {
    override state = { isMissing: false };
    #isShown = true;

    override componentDidMount(): void {
      if (Found !== undefined) return;
      load().then(
        (found) => {
          Found = found;
          if (this.#isShown) this.forceUpdate();
        },
        () => {
          if (this.#isShown) this.setState({ isMissing: true });
        },
      );
    }

    override componentWillUnmount(): void {
      this.#isShown = false;
    }

    override render(props: Props, { isMissing }: { isMissing: boolean }): VNode {
      if (Found !== undefined) return <Found {...props} />;
      if (isMissing) return <p role="alert">This part of the page could not be fetched.</p>;
      return <Meanwhile {...props} />;
    }
  };
}
